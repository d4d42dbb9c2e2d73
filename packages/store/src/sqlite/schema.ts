// The tables, and how a database of an older version becomes one of this version. A version is the
// number of migrations applied (user_version); a database of a newer version is refused.
//
// Objects are in rowid tables with an index over the id: measured against WITHOUT ROWID, ids being
// random, they are written 2 to 4 times and found 3 times as fast (16 KiB database pages, objects
// of 1.5 to 64 KiB).

import type { Database } from "better-sqlite3";

import { StoreError } from "../errors.js";

/** "devd", so that file(1) and we can tell whose database it is. */
const APPLICATION_ID = 0x64657664;

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE blocks (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 32),
    encoding INTEGER NOT NULL,
    raw_len INTEGER NOT NULL,
    data BLOB NOT NULL
  );
  CREATE TABLE pages (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 32),
    encoding INTEGER NOT NULL,
    raw_len INTEGER NOT NULL,
    data BLOB NOT NULL
  );
  CREATE TABLE workspaces (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    mount_path TEXT,
    options TEXT NOT NULL CHECK (json_valid(options)),
    created INTEGER NOT NULL,
    checkpoint_root BLOB CHECK (length(checkpoint_root) = 32),
    checkpoint_at INTEGER,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    CHECK ((checkpoint_root IS NULL) = (checkpoint_at IS NULL))
  ) STRICT;
  CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    content_id TEXT NOT NULL CHECK (length(content_id) = 64),
    root BLOB NOT NULL CHECK (length(root) = 32),
    name TEXT,
    message TEXT,
    automatic INTEGER NOT NULL,
    created INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    inodes INTEGER NOT NULL,
    UNIQUE (workspace, sequence),
    UNIQUE (workspace, name)
  ) STRICT;
  CREATE TABLE counters (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;
  `,
  `
  ALTER TABLE workspaces ADD COLUMN mounted INTEGER NOT NULL DEFAULT 0;
  `,
  // `other` refers to no row: a fork outlives its source, and still knows what they had in
  // common.
  `
  CREATE TABLE bases (
    id INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    other TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('fork', 'merge')),
    root BLOB NOT NULL CHECK (length(root) = 32),
    at INTEGER NOT NULL,
    UNIQUE (workspace, other, kind)
  ) STRICT;
  CREATE INDEX bases_other ON bases (other);
  `,
  // `snapshot` refers to no row: what happened stays when a snapshot is removed. What was kept
  // before there was a history begins it. SQLite 3.40 takes NULL for no valid JSON.
  `
  ALTER TABLE workspaces ADD COLUMN last_event INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE events (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    parent INTEGER,
    snapshot INTEGER,
    state TEXT CHECK (length(state) = 64),
    detail TEXT NOT NULL CHECK (json_valid(detail)),
    effects TEXT CHECK (effects IS NULL OR json_valid(effects)),
    PRIMARY KEY (workspace, number)
  ) STRICT;
  CREATE TABLE open_turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    detail TEXT NOT NULL CHECK (json_valid(detail))
  ) STRICT;
  CREATE INDEX open_turns_workspace ON open_turns (workspace);
  INSERT INTO events (workspace, number, kind, at, parent, snapshot, state, detail)
    SELECT workspace, row_number() OVER age, 'snapshot', created,
      nullif(row_number() OVER age - 1, 0), sequence, content_id, '{}'
    FROM snapshots WINDOW age AS (PARTITION BY workspace ORDER BY sequence);
  UPDATE workspaces SET last_event =
    (SELECT count(*) FROM snapshots WHERE snapshots.workspace = workspaces.id);
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

export interface MigrateOptions {
  /** Another version than this one, for tests. */
  to?: number;
  /** Called at the end of each step, before it is committed and behind that. */
  onStep?: () => void;
}

/**
 * Brings a writable database to this version, one transaction a step; refuses one that is not ours.
 */
export function migrate(
  db: Database,
  { to = SCHEMA_VERSION, onStep = () => undefined }: MigrateOptions = {},
): void {
  const version = versionOf(db);
  for (const [step, statements] of MIGRATIONS.slice(0, to).entries()) {
    if (step < version) continue;
    db.transaction(() => {
      db.exec(statements);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${step + 1}`);
      onStep();
    }).immediate();
    onStep();
  }
}

/** The version of a database that this devdev can read. */
export function versionOf(db: Database): number {
  const version = db.pragma("user_version", { simple: true }) as number;
  const application = db.pragma("application_id", { simple: true }) as number;
  const tables = db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() as number;
  if (application !== APPLICATION_ID && (version !== 0 || tables !== 0)) {
    throw new StoreError("ERR_STORE_CORRUPT", `${db.name} is a database, but not one of devdev`);
  }
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "ERR_STORE_VERSION",
      `${db.name} was written by a newer devdev (version ${version}, this one reads ${SCHEMA_VERSION})`,
    );
  }
  return version;
}
