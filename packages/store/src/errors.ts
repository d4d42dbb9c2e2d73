// What can go wrong in a store, as one error class with a closed set of codes. Separate because the
// worker that owns the database sends these across a thread boundary and rebuilds them on the other
// side.

import { DevdevError } from "@devdev/errno";

export type StoreErrorCode =
  /** Another process (or another store of this one) has the data directory open. */
  | "ERR_LOCKED"
  /** The database or an object in it is not what it must be. */
  | "ERR_STORE_CORRUPT"
  /** Written by a newer devdev. */
  | "ERR_STORE_VERSION"
  /** No room on the disk. */
  | "ERR_STORE_FULL"
  /** The host refused a read or a write. */
  | "ERR_STORE_IO"
  /** The name is taken. */
  | "ERR_STORE_EXISTS"
  /** There is no such row or object. */
  | "ERR_STORE_NOT_FOUND"
  /** Used after close. */
  | "ERR_STORE_CLOSED";

export class StoreError extends DevdevError {
  declare readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause });
  }
}

/** Turns an error of SQLite into a StoreError; anything else passes through unchanged. */
export function asStoreError(error: unknown, doing: string): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (error instanceof StoreError || typeof code !== "string" || !code.startsWith("SQLITE_")) {
    return error;
  }
  return new StoreError(situation(code), `${doing}: ${(error as Error).message}`, error);
}

function situation(sqlite: string): StoreErrorCode {
  if (sqlite.startsWith("SQLITE_CONSTRAINT")) {
    return sqlite === "SQLITE_CONSTRAINT_FOREIGNKEY" ? "ERR_STORE_NOT_FOUND" : "ERR_STORE_EXISTS";
  }
  if (sqlite === "SQLITE_FULL") return "ERR_STORE_FULL";
  if (sqlite.startsWith("SQLITE_CORRUPT") || sqlite === "SQLITE_NOTADB") return "ERR_STORE_CORRUPT";
  if (sqlite.startsWith("SQLITE_BUSY") || sqlite === "SQLITE_LOCKED") return "ERR_LOCKED";
  // What is left (IOERR, CANTOPEN, READONLY, NOMEM, ...) are refusals of the host.
  return "ERR_STORE_IO";
}
