// DEVDEV_FAULT, a test hook: `kill:<phase>:<n>` ends the process with SIGKILL when it passes that
// phase for the n-th time, so that tests can cut it off at the worst moments and see what is there
// afterwards.

/** Where a process can be cut off. */
export type Phase = "flush" | "freeze" | "persist" | "commit" | "restore";

const [kind, phase, count] = (process.env["DEVDEV_FAULT"] ?? "").split(":");
let left = kind === "kill" ? Number(count) : Number.NaN;

/** To be called where a phase begins, and where it has ended. */
export function passPhase(passed: Phase): void {
  if (passed !== phase || Number.isNaN(left)) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, "SIGKILL");
}
