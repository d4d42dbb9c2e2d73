// DEVDEV_FAULT, a test hook: `kill:<phase>:<n>` ends the process with SIGKILL when it passes that
// phase for the n-th time, `fail:<phase>:<n>` has that fail with EIO. With it tests cut a process
// off, or have a step fail, at the worst moments, and see what is there afterwards.

import { DevdevError } from "@devdev/errno";

/**
 * Where that can happen: each phase is passed where it begins and, all but persist, where it has
 * ended.
 */
export type Phase = "flush" | "freeze" | "persist" | "commit" | "restore";

const [kind, phase, count] = (process.env["DEVDEV_FAULT"] ?? "").split(":");
let left = kind === "kill" || kind === "fail" ? Number(count) : Number.NaN;

export function passPhase(passed: Phase): void {
  if (passed !== phase || Number.isNaN(left)) return;
  left -= 1;
  if (left !== 0) return;
  if (kind === "kill") process.kill(process.pid, "SIGKILL");
  throw new DevdevError("EIO", `DEVDEV_FAULT: ${passed} fails`);
}
