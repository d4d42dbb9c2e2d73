// Stats and Dirents before and after a journey as plain values.

import { expect, test } from "vitest";
import { DirectoryEntry, FileStats, KIND, portable, revived } from "./file-stats.js";

const QUESTIONS = [
  "isFile",
  "isDirectory",
  "isSymbolicLink",
  "isFIFO",
  "isSocket",
  "isBlockDevice",
  "isCharacterDevice",
] as const;

function answers(entry: Record<(typeof QUESTIONS)[number], () => boolean>): string[] {
  return QUESTIONS.filter((question) => entry[question]());
}

class Stats extends FileStats {
  readonly size = 5;
  readonly mode: number | bigint;
  readonly atimeMs: number | bigint;
  readonly mtimeMs: number | bigint;
  readonly ctimeMs: number | bigint;
  readonly birthtimeMs: number | bigint;
  constructor(mode: number | bigint, ms: number | bigint) {
    super();
    this.mode = mode;
    this.atimeMs = this.mtimeMs = this.ctimeMs = this.birthtimeMs = ms;
  }
}

test("Dirents keep name, parent and kind", () => {
  const entries = Object.values(KIND).map((kind, n) => new DirectoryEntry(`e${n}`, "/d", kind));
  const named = new DirectoryEntry(Buffer.from([0xff]), "/", KIND.dir);
  const sent = revived(portable([...entries, named])) as DirectoryEntry[];
  expect(sent.map(answers)).toEqual([...entries, named].map(answers));
  expect(new Set(entries.map((entry) => answers(entry).join())).size).toBe(7);
  expect(entries.every((entry) => answers(entry).length === 1)).toBe(true);
  expect(sent.at(-1)).toMatchObject({ name: Buffer.from([0xff]), parentPath: "/" });
  expect(Object.keys(sent[0]!)).toEqual(["name", "parentPath"]);
});

test("Stats keep their fields, their type and their dates, numbers or bigints", () => {
  for (const stats of [new Stats(0o100644, 1500.6), new Stats(0o040755n, 1500n)]) {
    const sent = revived(portable(stats)) as Stats;
    expect({ ...sent }).toEqual({ ...stats });
    expect(answers(sent)).toEqual(answers(stats));
    expect(sent.mtime).toEqual(stats.mtime);
  }
  expect(new Stats(0o100644, 1500.6).birthtime).toEqual(new Date(1501));
});

test("everything else travels as it is", () => {
  const values = [undefined, null, "text", 3, [], ["a"], { a: 1 }, Buffer.from("b")];
  for (const value of values) expect(revived(portable(value))).toBe(value);
});
