// What the index of a log says of it, beside what SQLite says.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import type { Database } from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";

import { logContent, logFileBytes } from "./log.js";

const HEADER = 32;
let directory: string;
let db: Database;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-log-"));
  db = new BetterSqlite3(join(directory, "a.sqlite"));
});
afterEach(() => {
  db.close();
  rmSync(directory, { recursive: true });
});

function frames(): { log: number; checkpointed: number } {
  const [done] = db.pragma("wal_checkpoint(PASSIVE)") as [{ log: number; checkpointed: number }];
  return done;
}

it.each([512, 4096, 32_768, 65_536])("is told in frames of pages of %i bytes", (page) => {
  db.pragma(`page_size = ${page}`);
  db.pragma("journal_mode = WAL");
  db.pragma("wal_autocheckpoint = 0");
  db.exec("CREATE TABLE t (v BLOB)");
  db.prepare("INSERT INTO t VALUES (zeroblob(300000))").run();
  const { written, toCopy } = logContent(db);
  expect(toCopy).toBe(written);
  expect(logFileBytes(db)).toBe(HEADER + written);
  expect(frames()).toMatchObject({
    log: written / (page + 24),
    checkpointed: written / (page + 24),
  });
  expect(logContent(db)).toEqual({ written, toCopy: 0 });
  // From its beginning, in a file that stays as long.
  db.prepare("DELETE FROM t").run();
  const again = logContent(db);
  expect(again.toCopy).toBe(again.written);
  expect(again.written).toBeGreaterThan(0);
  expect(again.written).toBeLessThan(written);
  expect(logFileBytes(db)).toBe(HEADER + written);
});

it("is what a part that a reader holds leaves to copy", () => {
  db.pragma("journal_mode = WAL");
  db.pragma("wal_autocheckpoint = 0");
  db.exec("CREATE TABLE t (v BLOB)");
  const reader = new BetterSqlite3(db.name);
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM t").get();
  db.prepare("INSERT INTO t VALUES (zeroblob(300000))").run();
  const { log, checkpointed } = frames();
  expect(checkpointed).toBeLessThan(log);
  expect(logContent(db).toCopy).toBe((log - checkpointed) * (4096 + 24));
  reader.close();
});

it("is taken for all of the file where there is no index, or none that is whole", () => {
  const made = { name: join(directory, "made") } as Database;
  expect(logContent(made)).toEqual({ written: 0, toCopy: 0 });
  writeFileSync(`${made.name}-wal`, Buffer.alloc(1000));
  const all = { written: 1000, toCopy: 1000 };
  expect(logContent(made)).toEqual(all);
  const index = Buffer.alloc(136);
  for (const at of [0, 48]) {
    index.writeUInt32LE(3_007_000, at);
    index[at + 12] = 1;
    index.writeUInt16LE(512, at + 14);
    index.writeUInt32LE(3, at + 16);
  }
  index.writeUInt32LE(2, 96);
  const says = (change: (index: Buffer) => Buffer | number) => {
    const changed = Buffer.from(index);
    const result = change(changed);
    writeFileSync(`${made.name}-shm`, typeof result === "number" ? changed : result);
    return logContent(made);
  };
  expect(says((whole) => whole)).toEqual({ written: 3 * 536, toCopy: 536 });
  expect(says((whole) => whole.subarray(0, 99))).toEqual(all);
  expect(says((torn) => torn.writeUInt32LE(4, 16))).toEqual(all);
  expect(says((newer) => newer.fill(9, 0, 4).fill(9, 48, 52))).toEqual(all);
  expect(says((empty) => empty.fill(0, 12, 13).fill(0, 60, 61))).toEqual(all);
});
