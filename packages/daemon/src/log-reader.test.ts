// Reading a log that rotates meanwhile.

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LogReader } from "./log-reader.js";

let directory: string;
const file = (number: number): string => join(directory, `daemon.${number}.log`);

beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "devdev-log-"))));
afterEach(() => rmSync(directory, { recursive: true }));

/** Not within a second, as by default: other tests run beside. */
const soon = (check: () => void) => vi.waitFor(check, { timeout: 60_000 });

test("the last lines, over files, in the order of their numbers", async () => {
  writeFileSync(file(9), "a\nb\n");
  writeFileSync(file(10), "c\nü\nhalf");
  writeFileSync(join(directory, "other.log"), "x\n");
  expect(await new LogReader(directory).last(3)).toEqual(["b", "c", "ü"]);
  expect(await new LogReader(directory).last(0)).toEqual([]);
});

test("follow goes on where last ended, through rotations, and ends when told", async () => {
  writeFileSync(file(1), "old\nhal");
  const reader = new LogReader(directory);
  await reader.last(1);
  // What is written between the two belongs to the second.
  appendFileSync(file(1), "f\n");
  const lines: string[] = [];
  const ended = new AbortController();
  const following = reader.follow(async (line) => void lines.push(line), ended.signal);
  await soon(() => expect(lines).toEqual(["half"]));
  appendFileSync(file(1), "one\n");
  writeFileSync(file(2), "two\n");
  writeFileSync(file(3), "three\n");
  await soon(() => expect(lines).toEqual(["half", "one", "two", "three"]));
  rmSync(file(1));
  appendFileSync(file(3), "four\n");
  await soon(() => expect(lines.at(-1)).toBe("four"));
  ended.abort();
  await following;
  appendFileSync(file(3), "five\n");
  expect(lines.at(-1)).toBe("four");
});

test("a reader that takes its time holds the reading up", async () => {
  writeFileSync(file(1), "x\n".repeat(1000));
  const reader = new LogReader(directory);
  let atOnce = 0;
  let most = 0;
  let seen = 0;
  const ended = new AbortController();
  const following = reader.follow(async () => {
    most = Math.max(most, ++atOnce);
    await Promise.resolve();
    atOnce--;
    if (++seen === 1000) ended.abort();
  }, ended.signal);
  await following;
  expect([seen, most]).toEqual([1000, 1]);
});
