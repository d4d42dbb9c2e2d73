// The limits on made-up figures: each holds and is exceeded where it should be.

import { expect, test } from "vitest";
import { type Figures, limits } from "./limits.ts";

type Column = Record<string, [unit: string, median: number]>;

const BASE: Column = {
  "git clone": ["s", 2],
  "cp -r": ["s", 0.5],
  tar: ["s", 0.6],
  "rm -rf": ["s", 1],
  "search, first": ["s", 0.2],
  "search, warm": ["s", 0.1],
  tsc: ["s", 4],
  "sequential read, cold": ["MB/s", 8000],
};

function times(column: Column, factor: number): Column {
  return Object.fromEntries(
    Object.entries(column).map(([step, [unit, value]]) => {
      return [step, [unit, unit === "s" ? value * factor : value / factor]];
    }),
  );
}

function figures(bare: Column, usual: Column): Figures {
  const columns = { tmpfs: BASE, prototype: times(BASE, 1.05), bare, default: usual };
  const contenders = Object.keys(columns).map((kind) => {
    return { name: kind, kind, who: "root", ...(kind !== "tmpfs" && { transport: "classic" }) };
  });
  const results = Object.entries(columns).map(([kind, column]) => {
    const steps = Object.entries(column).map(([step, [unit, median]]) => [step, { unit, median }]);
    return [kind, Object.fromEntries(steps)] as const;
  });
  return { contenders, results: Object.fromEntries(results) };
}

/** What exceeds, by the part of its text behind the place. */
function exceeded(of: Figures): string[] {
  return limits(of)
    .filter(({ holds }) => !holds)
    .map(({ what, value }) => `${what.replace("classic, root: ", "")}: ${value}`);
}

test("limits hold when they are kept", () => {
  const all = limits(figures(BASE, times(BASE, 1.1)));
  expect(all).toHaveLength(9);
  expect(exceeded(figures(BASE, times(BASE, 1.1)))).toEqual([]);
});

test("a limit names every step above it, the worst first", () => {
  const bare = { ...BASE, tar: ["s", 1.2], "cp -r": ["s", 0.6] } satisfies Column;
  expect(exceeded(figures(bare, bare))).toEqual([
    "each step of bare <= 1.1 x prototype: tar 1.90 x; cp -r 1.14 x",
  ]);
});

test("a slower default, an uncached getattr, a build and a cold read are limits of their own", () => {
  const bare = { ...BASE, "getattr, uncached": ["µs", 25] } satisfies Column;
  const usual = {
    ...BASE,
    tsc: ["s", 5],
    "sequential read, cold": ["MB/s", 1900],
  } satisfies Column;
  expect(exceeded(figures(bare, usual))).toEqual([
    "each step of default <= 1.15 x bare: sequential read, cold 4.21 x; tsc 1.25 x",
    "an uncached getattr of bare <= 24 µs: 25.0 µs",
    "npm install; tsc; cargo build of default <= 1.15 x tmpfs: tsc 1.25 x",
    "a cold read of 1 GiB of default >= 0.25 x tmpfs: 0.24 x",
  ]);
});

test("fewer than three steps below the prototype are too few", () => {
  expect(exceeded(figures(times(BASE, 1.06), times(BASE, 1.06)))).toEqual([
    expect.stringMatching(/^3 of git clone.* of bare take less than prototype: none$/),
  ]);
});
