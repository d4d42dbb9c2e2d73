// Every way to mean a snapshot, and what is said when none or several fit.

import { expect, it } from "vitest";

import { findSnapshot, listedName } from "./snapshot-names.js";

const id = (prefix: string) => prefix.padEnd(64, "0");
const all = [
  { id: id("abcd1"), sequence: 1, name: "first" },
  { id: id("abcd2"), sequence: 2, message: "all tests pass" },
  { id: id("ffff"), sequence: 4, name: "abcd" },
  { id: id("abcd1"), sequence: 5 },
];

it("finds a snapshot by every way to write it", () => {
  const found = (ref: string | number) => findSnapshot(all, ref).sequence;
  expect(found("first")).toBe(1);
  expect(found("#2")).toBe(2);
  expect(found("-1")).toBe(5);
  expect(found(-4)).toBe(1);
  expect(found(id("ffff"))).toBe(4);
  expect(found("FFFF")).toBe(4);
  // A name comes before digits that look the same; of equal trees the newest.
  expect(found("abcd")).toBe(4);
  expect(found("abcd1")).toBe(5);
});

it("says what there is when nothing or more than one fits", () => {
  const attempt = (ref: string | number) => () => findSnapshot(all.slice(0, 2), ref);
  expect(attempt("abcd")).toThrow(
    expect.objectContaining({
      code: "ERR_AMBIGUOUS_SNAPSHOT",
      hint: `write more of it: #2 (abcd20000000, "all tests pass"), first (abcd10000000)`,
    }) as Error,
  );
  for (const ref of ["abc", "-0", "-3", 0, "#9", "nothing", ""]) {
    expect(attempt(ref)).toThrow(expect.objectContaining({ code: "ERR_NO_SNAPSHOT" }) as Error);
  }
});

it("lists a snapshot under its name, else its number", () => {
  expect(all.map(listedName)).toEqual(["first", "#2", "abcd", "#5"]);
});
