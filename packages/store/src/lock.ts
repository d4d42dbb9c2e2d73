// A data directory belongs to one process. The lock is SQLite's own file lock on an empty database
// beside the store: the kernel drops it when its owner dies, however that happens, so a dead owner
// never blocks.
// Rejected: a file with a process id, which a reused id turns into a lie, and flock(2), which Node
// lacks.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";

import { asStoreError, StoreError } from "./errors.js";
import { privateDirectory, privateFiles } from "./private-files.js";

// INVARIANT: nothing else in this process opens this file: closing any descriptor of it drops the
// lock.
const LOCK_FILE = "lock";
/** Who holds it: only for the message. */
const OWNER_FILE = "owner";

/** Returns what unlocks it. ERR_LOCKED when another store has it, in this process or another. */
export function lockDirectory(directory: string): () => void {
  privateDirectory(directory);
  const db = connect(join(directory, LOCK_FILE));
  privateFiles(directory, [LOCK_FILE, `${LOCK_FILE}-journal`, OWNER_FILE]);
  try {
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if ((error as { code?: string }).code !== "SQLITE_BUSY") throw asStoreError(error, "locking");
    const message = `${directory} is in use by ${ownerOf(directory)}`;
    throw new StoreError("ERR_LOCKED", message, error);
  }
  writeFileSync(join(directory, OWNER_FILE), `${process.pid}\n`, { mode: 0o600 });
  return () => db.close();
}

function connect(path: string): BetterSqlite3.Database {
  try {
    return new BetterSqlite3(path, { timeout: 0 });
  } catch (error) {
    throw asStoreError(error, `cannot open ${path}`);
  }
}

function ownerOf(directory: string): string {
  try {
    return `process ${readFileSync(join(directory, OWNER_FILE), "utf8").trim()}`;
  } catch {
    // The owner has the lock but has not written its number yet.
    return "another process";
  }
}
