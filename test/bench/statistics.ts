// The results of all rounds, and what is said of several values.

import type { Sample } from "./steps.ts";

/** contender -> step -> the samples of all rounds. */
export type Results = Map<string, Map<string, { unit: Sample["unit"]; values: number[] }>>;

export function record(results: Results, contender: string, samples: Sample[]): void {
  const steps = results.get(contender) ?? new Map();
  results.set(contender, steps);
  for (const { step, unit, value } of samples) {
    const known = steps.get(step) ?? { unit, values: [] };
    known.values.push(value);
    steps.set(step, known);
  }
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** How much longer the first takes than the second; of rates, how much less it does. */
export function ratio(unit: string, value: number, of: number): number {
  return unit === "MB/s" || unit === "kIOPS" ? of / value : value / of;
}

export function show(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
