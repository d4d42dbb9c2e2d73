// Places and names of entries: as the engine has them, never two of one name.

import { expect, it } from "vitest";

import { cookieOf, damagedName, sipHash, withEntry } from "./names.js";
import type { Entry } from "./page-codec.js";

it("hashes to 64 bits, tails of every length included", () => {
  const all = ["", "a", "abcdefg", "abcdefgh", "abcdefghi"].map((text) =>
    sipHash(Buffer.from(text)),
  );
  expect(new Set(all).size).toBe(5);
  for (const hash of all) expect(hash < 1n << 64n).toBe(true);
});

it("puts entries in the order of their cookies, under names of their own", () => {
  let entries: Entry[] = [];
  for (let i = 0; i < 50; i++) entries = withEntry(entries, Buffer.from("same"), i + 16, 8);
  expect(new Set(entries.map(({ name }) => name.toString())).size).toBe(50);
  const cookies = entries.map(cookieOf);
  expect(cookies.every((cookie, i) => i === 0 || cookies[i - 1]! < cookie)).toBe(true);
});

it("says of a name that its file is damaged, within the longest name", () => {
  expect(damagedName(Buffer.from("a.c")).toString()).toBe("a.c.damaged");
  const long = damagedName(Buffer.from("n".repeat(255)));
  expect(long).toHaveLength(255);
  expect(withEntry([], long, 16, 8)[0]!.name).toHaveLength(255);
});
