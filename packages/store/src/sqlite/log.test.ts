// How far a log is written, beside what SQLite says.

import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import type { Database } from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";

import { logFileBytes, logPosition } from "./log.js";

const HEADER = 32;
const NONE = { generation: "", written: 0 };
let directory: string;
let db: Database;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-log-"));
  db = new BetterSqlite3(join(directory, "a.sqlite"));
  db.pragma("wal_autocheckpoint = 0");
});
afterEach(() => {
  db.close();
  rmSync(directory, { recursive: true });
});

function begin(pageBytes: number): void {
  db.pragma(`page_size = ${pageBytes}`);
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE t (v BLOB)");
}

/** Frames in the log, all of which are copied by that. */
function frames(): number {
  const [done] = db.pragma("wal_checkpoint(PASSIVE)") as [{ log: number; checkpointed: number }];
  expect(done.checkpointed).toBe(done.log);
  return done.log;
}

it.each([512, 4096, 32_768, 65_536])("is told in frames of pages of %i bytes", (pageBytes) => {
  begin(pageBytes);
  const insert = db.prepare("INSERT INTO t VALUES (randomblob(?))");
  insert.run(1_500_000);
  const first = logPosition(db);
  expect(logFileBytes(db)).toBe(HEADER + first.written);
  expect(frames() * (pageBytes + 24)).toBe(first.written);
  expect(logPosition(db)).toEqual(first);
  // Begun anew, in a file that stays as long, more and more of it.
  let before = 0;
  for (const bytes of [1, 100_000, 100_000]) {
    insert.run(bytes);
    const { generation, written } = logPosition(db);
    expect(generation).not.toBe(first.generation);
    expect(written).toBeGreaterThan(before);
    before = written;
  }
  expect(before).toBeLessThan(first.written);
  expect(logFileBytes(db)).toBe(HEADER + first.written);
  expect(frames() * (pageBytes + 24)).toBe(before);
});

it("is nothing where there is no log, or one without a header", () => {
  expect(logPosition(db)).toEqual(NONE);
  const made = { name: join(directory, "made") } as Database;
  expect([logPosition(made), logFileBytes(made)]).toEqual([NONE, 0]);
  for (const bytes of [0, 31]) {
    writeFileSync(`${made.name}-wal`, Buffer.alloc(bytes));
    expect([logPosition(made), logFileBytes(made)]).toEqual([NONE, bytes]);
  }
});

it("ends before a frame that was cut", () => {
  begin(4096);
  db.prepare("INSERT INTO t VALUES (zeroblob(100000))").run();
  const { generation, written } = logPosition(db);
  const cut = join(directory, "cut");
  writeFileSync(`${cut}-wal`, readFileSync(`${db.name}-wal`));
  truncateSync(`${cut}-wal`, HEADER + written - 1);
  const shorter = { generation, written: written - 4120 };
  expect(logPosition({ name: cut } as Database)).toEqual(shorter);
});

it.runIf(process.platform === "linux")("looking at it keeps the locks of this process", () => {
  begin(4096);
  const inode = statSync(`${db.name}-shm`).ino;
  const locks = (): string[] => {
    const lines = readFileSync("/proc/locks", "utf8").split("\n");
    return lines.filter((line) => line.includes(`:${inode} `));
  };
  const held = locks();
  expect(held).not.toEqual([]);
  logPosition(db);
  expect(locks().length).toBe(held.length);
});
