// CPU time that a virtual machine's host gave to somebody else (proc_stat(5), "steal").

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** /proc counts in hundredths of a second on every machine that Linux runs on today. */
const TICK_MS = 10;
/** Behind "cpu": user, nice, system, idle, iowait, irq, softirq, steal. */
const STEAL = 8;

/** Of all CPUs together, since they started. */
function stolenMs(): number {
  const [all = ""] = readFileSync("/proc/stat", "latin1").split("\n");
  return Number(all.split(/ +/)[STEAL] ?? 0) * TICK_MS;
}

/** What comes of `work`, and which part of the CPUs' time was stolen meanwhile. */
export async function watchingStolen<T>(work: () => Promise<T>): Promise<[T, number]> {
  const [before, started] = [stolenMs(), performance.now()];
  const result = await work();
  const whole = (performance.now() - started) * availableParallelism();
  return [result, (stolenMs() - before) / whole];
}
