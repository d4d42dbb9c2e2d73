// The set of ids: what was added is found, through growth and at the edges.

import { createHash } from "node:crypto";

import { expect, it } from "vitest";

import { IdSet } from "./id-set.js";

const idOf = (n: number) => createHash("sha256").update(`${n}`).digest();

it("holds what was added through many growths, and nothing else", () => {
  const set = new IdSet();
  for (let i = 0; i < 20_000; i++) expect(set.add(idOf(i))).toBe(true);
  expect(set.size).toBe(20_000);
  for (let i = 0; i < 20_000; i++) expect(set.has(idOf(i))).toBe(true);
  for (let i = 20_000; i < 40_000; i++) expect(set.has(idOf(i))).toBe(false);
  expect(set.add(idOf(7))).toBe(false);
});

it("takes the id that is all zeros and many ids from one array", () => {
  const set = new IdSet();
  expect(set.has(new Uint8Array(32))).toBe(false);
  set.addAll(Buffer.concat([new Uint8Array(32), idOf(1)]));
  expect(set.has(new Uint8Array(32))).toBe(true);
  expect(set.size).toBe(2);
});
