// Limits that hold unless a caller says otherwise, and times as they cross to native code.

import type { Time } from "@devdev/native";

export const DEFAULT_BYTES = 16 * 2 ** 30;
export const DEFAULT_INODES = 16_000_000;

const NS = 1_000_000_000n;

/** Nanoseconds since the epoch in two parts; the second is never negative. */
export function timeOfNs(ns: bigint): Time {
  const nanos = ((ns % NS) + NS) % NS;
  return { secs: Number((ns - nanos) / NS), nanos: Number(nanos) };
}

export function nsOfTime({ secs, nanos }: Time): bigint {
  return BigInt(secs) * NS + BigInt(nanos);
}
