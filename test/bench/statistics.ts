// The results of all rounds, and what is said of several values.

import type { Sample } from "./steps.ts";

/** The samples of all rounds, in their order. */
export interface Measured {
  unit: Sample["unit"];
  values: number[];
  /** Which part of the CPUs' time the machine's host gave to others meanwhile. */
  stolen: number[];
}

/** contender -> step -> what was measured. */
export type Results = Map<string, Map<string, Measured>>;

/** What is less of the CPUs' time does not show in a value. */
const STOLEN_SHOWS = 0.02;
/** So many values count in any case. */
const LEAST_COUNTED = 3;

export function record(results: Results, contender: string, samples: Sample[]): void {
  const steps = results.get(contender) ?? new Map();
  results.set(contender, steps);
  for (const { step, unit, value, stolen = 0 } of samples) {
    const known: Measured = steps.get(step) ?? { unit, values: [], stolen: [] };
    known.values.push(value);
    known.stolen.push(stolen);
    steps.set(step, known);
  }
}

/** The values that count: those of rounds with stolen CPU time only where others are too few. */
export function counted({ values, stolen }: Measured): number[] {
  const least = values.map((value, i) => ({ value, part: stolen[i] ?? 0 }));
  least.sort((a, b) => a.part - b.part);
  const kept = least.filter(({ part }, i) => part <= STOLEN_SHOWS || i < LEAST_COUNTED);
  return kept.map(({ value }) => value);
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
