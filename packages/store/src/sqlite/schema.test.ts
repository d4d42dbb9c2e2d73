// Databases of older versions become ones of this version, with what is in them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";

import { DATABASE_FILE, openSqliteStore } from "../index.js";
import { commitTree, sampleEvent, sampleWorkspace } from "../test-kit/index.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const database = () => join(directory, DATABASE_FILE);

/** Makes of a database of this version one that knows no history. */
const BEFORE_HISTORY =
  "DROP TABLE events; DROP TABLE open_turns; ALTER TABLE workspaces DROP COLUMN last_event";

it("brings a database of the first version to this one, with what is in it", () => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  store.close();
  const db = new BetterSqlite3(database());
  db.exec(`${BEFORE_HISTORY}; DROP TABLE bases; ALTER TABLE workspaces DROP COLUMN mounted`);
  db.pragma("user_version = 1");
  db.close();
  const again = openSqliteStore(directory);
  expect(again.metadata.workspaces()).toEqual([sampleWorkspace("w")]);
  again.metadata.updateWorkspace("w", { mounted: true });
  expect(again.metadata.workspaces()).toEqual([{ ...sampleWorkspace("w"), mounted: true }]);
  again.close();
});

it("brings a database of the second version to this one, with what is in it", () => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  const { id } = commitTree(store, "w", "text", "name");
  store.close();
  const db = new BetterSqlite3(database());
  db.exec(`${BEFORE_HISTORY}; DROP TABLE bases`);
  db.pragma("user_version = 2");
  db.close();
  const again = openSqliteStore(directory);
  expect(again.metadata.snapshots("w").map((row) => row.name)).toEqual(["name"]);
  const base = { workspace: "w", other: "v", name: "v", kind: "fork", root: id, at: 1 } as const;
  again.metadata.setBase(base);
  expect(again.metadata.bases("w")).toEqual([{ ...base, root: Buffer.from(id) }]);
  again.close();
});

it("begins the history of a database of the third version with its snapshots", () => {
  const store = openSqliteStore(directory);
  for (const id of ["w", "v"]) store.metadata.createWorkspace(sampleWorkspace(id));
  ["one", "two", "three"].forEach((name) => commitTree(store, "w", name, name));
  store.metadata.removeSnapshot("w", 2);
  store.close();
  const db = new BetterSqlite3(database());
  db.exec(BEFORE_HISTORY);
  db.pragma("user_version = 3");
  db.close();
  const again = openSqliteStore(directory);
  const { history } = again.metadata;
  const [first, third] = again.metadata.snapshots("w").map((row) => ({
    workspace: "w",
    kind: "snapshot",
    at: row.createdAt,
    snapshot: row.sequence,
    state: row.contentId,
    detail: {},
  }));
  expect(history.events("w")).toEqual([
    { ...first, number: 1 },
    { ...third, number: 2, parent: 1 },
  ]);
  expect(history.addEvent(sampleEvent("w")).number).toBe(3);
  expect(history.addEvent(sampleEvent("v")).number).toBe(1);
  again.close();
});
