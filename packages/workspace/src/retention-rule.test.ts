// Which snapshots a rule removes.

import { describe, expect, it } from "vitest";

import { changedRule, doomedBy, type Judged, spare } from "./retention-rule.js";

const NOW = 1_000_000;
/** "a" automatic, "m" asked for, "n" named; the oldest first, a second apart, the newest now. */
function rows(kinds: string): Judged[] {
  return [...kinds].map((kind, i) => ({
    sequence: i + 1,
    automatic: kind === "a",
    createdAt: NOW - (kinds.length - 1 - i) * 1000,
    ...(kind === "n" && { name: `n${i}` }),
  }));
}
const numbers = (some: Judged[]) => some.map(({ sequence }) => sequence);

describe("a rule", () => {
  it("without a part keeps all", () => {
    expect(doomedBy({}, rows("aaamm"), NOW)).toEqual([]);
  });

  it("keeps the last of each sort, named ones, and the newest of all", () => {
    expect(numbers(doomedBy({ keepLast: 1 }, rows("aamnma"), NOW))).toEqual([1, 2, 3]);
    expect(numbers(doomedBy({ keepLast: 2 }, rows("aaamm"), NOW))).toEqual([1]);
    expect(numbers(doomedBy({ keepLast: 0 }, rows("aanmm"), NOW))).toEqual([1, 2, 4]);
    expect(doomedBy({ keepLast: 9 }, rows("aanmm"), NOW)).toEqual([]);
    expect(doomedBy({ keepLast: 0 }, [], NOW)).toEqual([]);
  });

  it("keeps the young ones, or else those that the other part keeps", () => {
    const all = rows("mmmmm");
    expect(numbers(doomedBy({ keepYoungerMs: 2500 }, all, NOW))).toEqual([1, 2]);
    expect(numbers(doomedBy({ keepYoungerMs: 2500, keepLast: 4 }, all, NOW))).toEqual([1]);
    expect(numbers(doomedBy({ keepYoungerMs: 0 }, all, NOW))).toEqual([1, 2, 3, 4]);
  });

  it("is changed part by part, and refuses nonsense", () => {
    const rule = changedRule({ keepLast: 3 }, { keepYoungerMs: 5 });
    expect(rule).toEqual({ keepLast: 3, keepYoungerMs: 5 });
    expect(changedRule(rule, { keepLast: null })).toEqual({ keepYoungerMs: 5 });
    for (const keepLast of [-1, 1.5, Number.NaN]) {
      expect(() => changedRule({}, { keepLast })).toThrow(RangeError);
    }
    expect(() => changedRule({}, { keepYoungerMs: Number.POSITIVE_INFINITY })).toThrow(RangeError);
  });
});

it("a full store could let go of automatic ones, but not of the newest", () => {
  expect(numbers(spare(rows("aanma")))).toEqual([1, 2]);
});
