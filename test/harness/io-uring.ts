// Has the kernel offer FUSE over io_uring for the length of a test, where that is possible.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CHECKOUT } from "./base.ts";

/** The setting goes back when it is disposed of, or this process ends. */
export interface Offered extends AsyncDisposable {
  /** Said aloud when not. */
  readonly offered: boolean;
}

export async function offerIoUring(): Promise<Offered> {
  const script = join(CHECKOUT, "scripts/with-io-uring");
  const child = spawn(script, ["sh", "-c", "echo on; cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const lines = createInterface(child.stdout);
  const said = await Promise.race([once(lines, "line"), ended]);
  const offered = said[0] === "on";
  if (!offered) console.warn("SKIPPED: FUSE over io_uring cannot be had here");
  return {
    offered,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}
