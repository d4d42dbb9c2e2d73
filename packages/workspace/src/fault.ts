// DEVDEV_FAULT, a test hook: `kill:<phase>:<n>` ends the process with SIGKILL when it passes that
// phase for the n-th time, `fail:<phase>:<n>` has that fail with EIO, and with a file in place of n
// they do so when that file is there, which they remove; `hold:<phase>:<file>` has its thread stand
// still there until that file is made (`<file>.held` says that it does). With it tests cut a
// process off, have a step fail or last, at the worst moments, and see what comes of it.

import { existsSync, rmSync, writeFileSync } from "node:fs";

import { DevdevError } from "@devdev/errno";

/**
 * Where that can happen: each phase is passed where it begins and, all but persist and check, where
 * it has ended; migrate at the end of each step, before its commit and behind it.
 */
export type Phase = "flush" | "freeze" | "persist" | "commit" | "restore" | "check" | "migrate";

const LOOK_MS = 10;

const [kind, phase, value = ""] = (process.env["DEVDEV_FAULT"] ?? "").split(":");
let left = Number(value);

export function passPhase(passed: Phase): void {
  if (passed !== phase) return;
  if (kind === "hold") return hold(value);
  if (!isDue()) return;
  if (kind === "kill") process.kill(process.pid, "SIGKILL");
  if (kind === "fail") throw new DevdevError("EIO", `DEVDEV_FAULT: ${passed} fails`);
}

function isDue(): boolean {
  if (!value.startsWith("/")) return --left === 0;
  const there = existsSync(value);
  rmSync(value, { force: true });
  return there;
}

function hold(file: string): void {
  const sleeping = new Int32Array(new SharedArrayBuffer(4));
  writeFileSync(`${file}.held`, "");
  while (!existsSync(file)) Atomics.wait(sleeping, 0, 0, LOOK_MS);
}
