// What only the SQLite store has: settings, log, lock, versions, a full disk.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import BetterSqlite3 from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";

import { check, copyLog, DATABASE_FILE, openSqliteReader, openSqliteStore } from "../index.js";
import { blockOf, commitTree, kitCodec, sampleWorkspace } from "../test-kit/index.js";
import type { LogPosition } from "./log.js";
import { SCHEMA_VERSION } from "./schema.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const database = () => join(directory, DATABASE_FILE);

it("makes a database with the settings that the design rests on", () => {
  openSqliteStore(directory).close();
  const db = new BetterSqlite3(database(), { readonly: true });
  const settings = ["page_size", "auto_vacuum", "journal_mode", "user_version"].map((name) =>
    db.pragma(name, { simple: true }),
  );
  db.close();
  expect(settings).toEqual([32768, 2, "wal", SCHEMA_VERSION]);
});

it("keeps everything over a close, and a reader sees it at once", () => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  const reader = openSqliteReader(directory);
  const root = commitTree(store, "w", "text", "name");
  expect(reader.blocks.get(blockOf("text a").id)?.data.toString()).toBe("text a");
  expect(Buffer.from(reader.metadata.page(root.id)!.data)).toEqual(Buffer.from(root.data));
  reader.close();
  store.close();
  const again = openSqliteStore(directory);
  expect(again.metadata.snapshots("w").map((row) => row.name)).toEqual(["name"]);
  expect(check(again, kitCodec)).toMatchObject({ ok: true, pages: 2, blocks: 3 });
  again.close();
});

it("shrinks its log and, when much was deleted, its file", () => {
  const store = openSqliteStore(directory);
  const many = Array.from({ length: 400 }, (_, i) => blockOf(`${i}`.repeat(20_000)));
  store.blocks.put(many);
  expect(statSync(`${database()}-wal`).size).toBeGreaterThan(1 << 24);
  while (store.maintain(true));
  expect(statSync(`${database()}-wal`).size).toBe(0);
  const full = statSync(database()).size;
  store.blocks.delete(many.map(({ id }) => id));
  while (store.maintain(true));
  expect(statSync(database()).size).toBeLessThan(full / 10);
  store.close();
});

it("waits for no reader that holds the log, and gives the log back when it is let go", () => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  const reader = openSqliteReader(directory);
  reader.atOneMoment(() => {
    store.metadata.createWorkspace(sampleWorkspace("v", "v"));
    const started = performance.now();
    store.maintain(true);
    // A connection waits 5 s for what another one has locked.
    expect(performance.now() - started).toBeLessThan(3000);
    expect(statSync(`${database()}-wal`).size).toBeGreaterThan(0);
    expect(reader.metadata.snapshots("v")).toEqual([]);
  });
  store.maintain(true);
  expect(statSync(`${database()}-wal`).size).toBe(0);
  reader.close();
  store.close();
});

it("has its log copied by another thread, all of it unless a reader holds a part", () => {
  const asked: LogPosition[] = [];
  const copiesLog = (position: LogPosition): boolean => asked.push(position) > 0;
  const store = openSqliteStore(directory, { copiesLog });
  store.metadata.createWorkspace(sampleWorkspace("w"));
  store.maintain(false);
  expect(asked).toEqual([]);
  const reader = openSqliteReader(directory);
  const log = () => statSync(`${database()}-wal`).size;
  reader.atOneMoment(() => {
    store.blocks.put(Array.from({ length: 1500 }, (_, i) => blockOf(`${i} `.repeat(13_000))));
    store.maintain(false);
    store.maintain(true);
    expect(asked.map(({ written }) => written)).toEqual([log() - 32, log() - 32]);
    expect(copyLog(directory)).toBeUndefined();
  });
  expect(copyLog(directory)).toEqual(asked[0]);
  expect(statSync(database()).size).toBeGreaterThan(1500 * 26_000);
  // What was copied is begun anew by the next commit; that the file is made short waits for rest.
  const full = log();
  store.metadata.createWorkspace(sampleWorkspace("v", "v"));
  store.maintain(true);
  expect([asked.length, log()]).toEqual([2, full]);
  store.rest?.();
  expect(log()).toBe(0);
  expect(store.metadata.workspaces().map((row) => row.name)).toEqual(["w", "v"]);
  reader.close();
  store.close();
});

it("reads many pages at a time, those that are there", () => {
  const store = openSqliteStore(directory);
  const all = Array.from({ length: 150 }, (_, i) => blockOf(`page ${i}`));
  store.metadata.putPages(all);
  const reader = openSqliteReader(directory);
  const sorted = (pages: ReadonlyArray<{ data: Uint8Array }>): string[] =>
    pages.map(({ data }) => Buffer.from(data).toString()).toSorted();
  for (const count of [0, 1, 63, 64, 65, 150]) {
    const some = all.slice(0, count);
    const ids = [blockOf("elsewhere").id, ...some.map(({ id }) => id)];
    expect(sorted(reader.metadata.pages(ids))).toEqual(sorted(some));
  }
  expect(reader.metadata.pages([])).toEqual([]);
  expect(reader.metadata.pages([all[7]!.id, all[7]!.id])).toHaveLength(1);
  reader.close();
  store.close();
});

it("reads at one moment what was there then", () => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  commitTree(store, "w", "text", "name");
  const reader = openSqliteReader(directory);
  reader.atOneMoment(() => {
    store.metadata.removeWorkspace("w");
    expect(reader.metadata.snapshots("w")).toHaveLength(1);
    expect(check(reader, kitCodec)).toMatchObject({ ok: true, pages: 2, blocks: 3 });
  });
  expect(check(reader, kitCodec)).toMatchObject({ ok: true, pages: 0, blocks: 0 });
  reader.close();
  store.close();
});

it("is its owner's alone, also where everything was open to others", () => {
  const files = [
    "",
    "/lock",
    "/lock-journal",
    "/owner",
    `/${DATABASE_FILE}`,
    `/${DATABASE_FILE}-wal`,
  ];
  const modes = () => files.map((file) => (statSync(directory + file).mode & 0o777).toString(8));
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  expect(modes()).toEqual(["700", ...files.slice(1).map(() => "600")]);
  store.close();
  chmodSync(directory, 0o755);
  for (const file of ["lock", "owner", DATABASE_FILE]) chmodSync(join(directory, file), 0o644);
  const again = openSqliteStore(directory);
  again.metadata.createWorkspace(sampleWorkspace("v", "v"));
  expect(modes()).toEqual(["700", ...files.slice(1).map(() => "600")]);
  again.close();
});

it("is refused to a second opener, also in this process", () => {
  const store = openSqliteStore(directory);
  expect(() => openSqliteStore(directory)).toThrow(
    expect.objectContaining({
      code: "ERR_LOCKED",
      message: `${directory} is in use by process ${process.pid}`,
    }) as Error,
  );
  store.close();
  openSqliteStore(directory).close();
});

it("is refused while another process has it, and free when that was killed", async () => {
  const entry = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
  const program = `import { openSqliteStore } from ${JSON.stringify(entry)};
    globalThis.held = openSqliteStore(${JSON.stringify(directory)}); console.log("open"); setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = once(owner, "exit");
  try {
    await once(owner.stdout, "data");
    expect(() => openSqliteStore(directory)).toThrow(`in use by process ${owner.pid}`);
  } finally {
    owner.kill("SIGKILL");
    await gone;
  }
  openSqliteStore(directory).close();
});

it("refuses what a newer devdev wrote, what is not ours and what is no database", () => {
  openSqliteStore(directory).close();
  const db = new BetterSqlite3(database());
  db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  db.close();
  expect(() => openSqliteStore(directory)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_VERSION" }) as Error,
  );
  rmSync(database());
  const foreign = new BetterSqlite3(database());
  foreign.exec("CREATE TABLE songs (title TEXT)");
  foreign.close();
  expect(() => openSqliteStore(directory)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_CORRUPT" }) as Error,
  );
  rmSync(database());
  writeFileSync(database(), "no database at all".repeat(1000));
  expect(() => openSqliteStore(directory)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_CORRUPT" }) as Error,
  );
});

it("says so when a full disk stops a commit, and keeps what was committed", () => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  commitTree(store, "w", "kept", "kept");
  store.close();
  const program = `import { openSqliteStore } from "./packages/store/dist/index.js";
    const store = openSqliteStore(${JSON.stringify(directory)});
    const data = Buffer.alloc(1 << 23, 1);
    try { store.blocks.put([{ id: data.subarray(0, 32), encoding: 0, rawLength: 0, data }]); }
    catch (error) { console.log(error.code); }`;
  // A limit on the size of files is what a full disk looks like to SQLite (EFBIG instead of
  // ENOSPC).
  const printed = execFileSync(
    "/bin/sh",
    [
      "-c",
      `ulimit -f 4096; trap "" XFSZ; exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      program,
    ],
    { cwd: fileURLToPath(new URL("../../../..", import.meta.url)), encoding: "utf8" },
  );
  expect(printed.trim()).toMatch(/^ERR_STORE_(FULL|IO)$/);
  const again = openSqliteStore(directory);
  expect(check(again, kitCodec)).toMatchObject({ ok: true, roots: 1, blocks: 3 });
  again.close();
});
