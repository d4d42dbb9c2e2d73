// Opens connections to the database of a data directory: one that writes, any number that read.
// Here is every setting that durability and file layout rest on.

import { existsSync } from "node:fs";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import type { Database } from "better-sqlite3";

import { asStoreError, StoreError } from "../errors.js";
import { type LogPosition, logPosition } from "./log.js";
import { privateDirectory, privateFiles } from "../private-files.js";
import { migrate, type MigrateOptions, SCHEMA_VERSION, versionOf } from "./schema.js";

export const DATABASE_FILE = "devdev.sqlite";
/** SQLite gives its own files beside it the mode of the database. */
const DATABASE_FILES = ["", "-wal", "-shm"].map((suffix) => `${DATABASE_FILE}${suffix}`);

/** Milliseconds a connection waits for another one's lock; only housekeeping ever makes it wait. */
export const BUSY_TIMEOUT_MS = 5000;

const COPY_TRIES = 5;

/** The connection that writes. The caller holds the lock of the directory. */
export function openWriter(directory: string, options: MigrateOptions = {}): Database {
  privateDirectory(directory);
  const path = join(directory, DATABASE_FILE);
  return opening(path, () => {
    const db = new BetterSqlite3(path, { timeout: BUSY_TIMEOUT_MS });
    privateFiles(directory, DATABASE_FILES);
    return configuring(db, () => {
      // These two only count before the first table.
      db.pragma("page_size = 32768");
      db.pragma("auto_vacuum = INCREMENTAL");
      if (db.pragma("journal_mode = WAL", { simple: true }) !== "wal") {
        throw new StoreError("ERR_STORE_IO", `${path}: the file system cannot hold a WAL database`);
      }
      // better-sqlite3 is built with NORMAL, with which a power loss takes back commits.
      db.pragma("synchronous = FULL");
      // A checkpoint inside a commit would make a snapshot wait for it: maintain() does them.
      db.pragma("wal_autocheckpoint = 0");
      db.pragma("foreign_keys = ON");
      db.pragma("cache_size = -16384");
      migrate(db, options);
    });
  });
}

/** A connection that only reads. The database must be there and of this version. */
export function openReader(directory: string): Database {
  const path = join(directory, DATABASE_FILE);
  if (!existsSync(path))
    throw new StoreError("ERR_STORE_NOT_FOUND", `there is no store at ${path}`);
  return opening(path, () => {
    const db = new BetterSqlite3(path, { readonly: true, timeout: BUSY_TIMEOUT_MS });
    return configuring(db, () => {
      db.pragma("cache_size = -8192");
      const version = versionOf(db);
      if (version !== SCHEMA_VERSION) {
        throw new StoreError(
          "ERR_STORE_VERSION",
          `${path} has version ${version}, not ${SCHEMA_VERSION}`,
        );
      }
    });
  });
}

/**
 * Copies the log of a store that another thread has open into its database, beside its commits.
 * Returns how far it was written when all of it was copied; undefined when somebody who reads
 * holds a part of it.
 */
export function copyLog(directory: string): LogPosition | undefined {
  const path = join(directory, DATABASE_FILE);
  return opening(path, () => {
    const db = new BetterSqlite3(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true });
    try {
      db.pragma("synchronous = FULL");
      // What is committed while one copies is left for the next, which has less to do.
      for (let tries = 0; tries < COPY_TRIES; tries++) {
        const position = logPosition(db);
        const [done] = db.pragma("wal_checkpoint(PASSIVE)") as [
          { busy: number; log: number; checkpointed: number },
        ];
        if (done.busy === 0 && done.log === done.checkpointed) return position;
      }
      return undefined;
    } finally {
      db.close();
    }
  });
}

function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw asStoreError(error, `cannot open ${path}`);
  }
}

/** Closes the connection when its settings cannot be made. */
function configuring(db: Database, configure: () => void): Database {
  try {
    configure();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
