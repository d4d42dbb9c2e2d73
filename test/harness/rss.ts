// How much memory a process has, and how much a daemon may have under a byte limit (S6).

import { readFileSync } from "node:fs";

export function statusMiB(pid: number, field: "VmHWM" | "VmRSS" | "RssFile"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
}

/** The most that a daemon takes, in MiB, whose workspaces may have so many together. */
export function peakBound(limitMiB: number): number {
  return limitMiB * 1.2 + 100;
}
