// One figure of scripts/bench snapshots: its values over the rounds, and whether they are what the
// project asks for.

import { median } from "../statistics.ts";

export interface Figure {
  step: string;
  unit: "ms" | "MB/s" | "MiB" | "blocks" | "x";
  values: number[];
  /** What the project asks for: at most so much (of a rate: at least). */
  limit?: number;
  /** The value that is held against it: the median, or the worst of all. */
  judged?: "worst";
}

function isRate({ unit }: Figure): boolean {
  return unit === "MB/s";
}

export function worst(figure: Figure): number {
  return isRate(figure) ? Math.min(...figure.values) : Math.max(...figure.values);
}

/**
 * What the figure comes to: its judged value, and whether it holds where something is asked for.
 */
export function judge(figure: Figure): { value: number; holds?: boolean } {
  const { values, limit, judged } = figure;
  const value = judged === "worst" ? worst(figure) : median(values);
  if (limit === undefined) return { value };
  return { value, holds: isRate(figure) ? value >= limit : value <= limit };
}

export function quantile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
}

/** Figures by step, in the order of their first value. */
export class Figures {
  readonly #all = new Map<string, Figure>();

  note(
    step: string,
    value: number,
    { unit = "ms", ...asked }: Partial<Pick<Figure, "unit" | "limit" | "judged">> = {},
  ): void {
    const figure = this.#all.get(step) ?? { step, unit, values: [], ...asked };
    figure.values.push(value);
    this.#all.set(step, figure);
  }

  get all(): Figure[] {
    return [...this.#all.values()];
  }
}
