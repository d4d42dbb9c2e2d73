// FUSE over io_uring in the suites: offered by the kernel for the length of a test, where that is
// possible; and made sure of in a run that is meant to go over it, for mounts fall back silently.

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

/** DEVDEV_TRANSPORT for daemons of tests, when this run has one. */
export function transportEnv(): Record<string, string> {
  const wanted = process.env["DEVDEV_TRANSPORT"];
  return wanted === undefined ? {} : { DEVDEV_TRANSPORT: wanted };
}

/** What a mount says of itself. */
export interface Mounted {
  transport?: string | undefined;
}

/** Fails a run with DEVDEV_TRANSPORT whose mount has come to use another one. */
export function expectTransport({ transport }: Mounted): void {
  const wanted = process.env["DEVDEV_TRANSPORT"];
  if (wanted !== undefined && transport !== wanted) {
    throw new Error(`the mount's transport is ${transport}, not ${wanted} as in DEVDEV_TRANSPORT`);
  }
}
