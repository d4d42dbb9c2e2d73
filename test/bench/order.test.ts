// Who follows whom in the rounds of a benchmark.

import { expect, test } from "vitest";
import { orderOf } from "./order.ts";

interface Placed {
  name: string;
  who: "root" | "user";
  transport?: "classic" | "io_uring";
}

function group(names: string, placed: Omit<Placed, "name">): Placed[] {
  return [...names].map((name) => ({ name, ...placed }));
}

function orders(contenders: Placed[], rounds: number): string[] {
  return Array.from({ length: rounds }, (_, round) =>
    orderOf(contenders, round, rounds)
      .map(({ name }) => name)
      .join(""),
  );
}

test.each(["ab", "abc", "abcd", "abcde"])(
  "of %s each follows each other equally often",
  (names) => {
    const rounds = orders(group(names, { who: "root" }), 2 * names.length);
    const pairs = rounds.flatMap((order) => [...order].slice(1).map((next, i) => order[i]! + next));
    const counts = Map.groupBy(pairs, (pair) => pair);
    expect(counts.size).toBe(names.length * (names.length - 1));
    expect([...counts.values()].every((all) => all.length === 2)).toBe(true);
    for (const order of rounds) expect([...order].sort().join("")).toBe(names);
  },
);

test("those of one transport and user stay together, and every group begins once", () => {
  const contenders = [
    ...group("ab", { who: "root" }),
    ...group("c", { who: "user" }),
    ...group("def", { who: "root", transport: "classic" }),
    ...group("ghi", { who: "root", transport: "io_uring" }),
    ...group("jkl", { who: "user", transport: "io_uring" }),
  ];
  const rounds = orders(contenders, 5);
  for (const order of rounds) {
    expect(order).toHaveLength(12);
    for (const together of [/[ab]{2}/, /[def]{3}/, /[ghi]{3}/, /[jkl]{3}/]) {
      expect(order).toMatch(together);
    }
  }
  const groups = ["ab", "c", "def", "ghi", "jkl"];
  const first = rounds.map((order) => groups.findIndex((group) => group.includes(order[0]!)));
  expect(first).toEqual([0, 1, 2, 3, 4]);
});
