// The map of ids: what was set is found, through growth, and replaced when it is set again.

import { createHash } from "node:crypto";

import { expect, it } from "vitest";

import { IdMap } from "./id-map.js";

const idOf = (n: number) => createHash("sha256").update(`${n}`).digest();

it("holds numbers through many growths, and the id that is all zeros", () => {
  const map = new IdMap();
  for (let i = 0; i < 10_000; i++) map.set(idOf(i), i - 5000);
  for (let i = 0; i < 10_000; i++) expect(map.get(idOf(i))).toBe(i - 5000);
  expect(map.get(idOf(10_000))).toBeUndefined();
  map.set(idOf(7), -1);
  expect(map.get(idOf(7))).toBe(-1);
  expect(map.get(new Uint8Array(32))).toBeUndefined();
  map.set(new Uint8Array(32), 3);
  expect(map.get(new Uint8Array(32))).toBe(3);
});
