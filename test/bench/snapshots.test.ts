// What scripts/bench snapshots says of its figures, on made-up ones.

import { expect, test } from "vitest";

import { type Figure, Figures, judge } from "./snapshots/figure.ts";
import { section } from "./snapshots/report.ts";
import { QUICK } from "./snapshots/workload.ts";

const slow: Figure = { step: "slow", unit: "ms", values: [5, 9, 30], limit: 10 };

test("a time holds when its median is within the limit, or all of its values", () => {
  expect(judge(slow)).toEqual({ value: 9, holds: true });
  expect(judge({ ...slow, judged: "worst" })).toEqual({ value: 30, holds: false });
  expect(judge({ ...slow, limit: 8 })).toEqual({ value: 9, holds: false });
  expect(judge({ step: "any", unit: "ms", values: [1] })).toEqual({ value: 1 });
});

test("a rate holds when it is not below the limit", () => {
  const rate: Figure = { step: "rate", unit: "MB/s", values: [310, 305, 290], limit: 300 };
  expect(judge(rate)).toEqual({ value: 305, holds: true });
  expect(judge({ ...rate, judged: "worst" })).toEqual({ value: 290, holds: false });
});

test("the section says of each figure what was asked for, and whether it holds", () => {
  const figures = new Figures();
  figures.note("fast", 3, { limit: 4 });
  figures.note("fast", 5);
  figures.note("fast", 2);
  figures.note("blocks", 2, { unit: "blocks", limit: 1 });
  figures.note("held", 7, { limit: 20, judged: "worst" });
  figures.note("free", 1);
  const results = { load: QUICK, rounds: 1, loadAverage: 0, figures: figures.all, others: [] };
  const rows = section(results).split("\n");
  for (const row of [
    "| fast | ms | 3.00 | 2.00 | 5.00 | 4.00 | yes |",
    "| blocks | blocks | 2.00 | 2.00 | 2.00 | 1.00 | no |",
    "| held | ms | 7.00 | 7.00 | 7.00 | 20.0, always | yes |",
    "| free | ms | 1.00 | 1.00 | 1.00 | - | - |",
  ]) {
    expect(rows).toContain(row);
  }
});
