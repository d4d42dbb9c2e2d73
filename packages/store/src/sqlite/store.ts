// The store over one SQLite database: the writer (all of a Store) and the reader (blocks and pages
// only).

import type { Database } from "better-sqlite3";

import { asStoreError, StoreError } from "../errors.js";
import { lockDirectory } from "../lock.js";
import type { BlockStore, MetadataStore, Store, TransactionOptions } from "../store.js";
import { openReader, openWriter, walBytes } from "./connection.js";
import { SqliteMetadata } from "./metadata.js";
import { SqliteObjects } from "./objects.js";

/** The log is copied into the database when it has grown past this, even if commits keep coming. */
const WAL_LIMIT = 64 << 20;
/** Database pages that one call of maintain gives back to the file system. */
const VACUUM_PAGES = 1024;

class SqliteStore implements Store {
  readonly blocks: BlockStore;
  readonly metadata: MetadataStore;
  readonly #db: Database;
  readonly #unlock: () => void;

  constructor(db: Database, unlock: () => void) {
    this.#db = db;
    this.#unlock = unlock;
    const together = <T>(work: () => T): T => this.transaction(work);
    this.blocks = new SqliteObjects(db, "blocks", together);
    this.metadata = new SqliteMetadata(db, together);
  }

  transaction<T>(run: () => T, { durable = true }: TransactionOptions = {}): T {
    const db = this.#db;
    if (!db.open) throw new StoreError("ERR_STORE_CLOSED", "the store is closed");
    if (db.inTransaction) return run();
    try {
      if (!durable) db.pragma("synchronous = NORMAL");
      // A durable commit syncs the whole log, those before it included.
      return db.transaction(run).immediate();
    } catch (error) {
      throw asStoreError(error, "committing");
    } finally {
      if (!durable) db.pragma("synchronous = FULL");
    }
  }

  verify(): string[] {
    const problems: string[] = [];
    try {
      const lines = this.#db.pragma("integrity_check(20)") as Array<{ integrity_check: string }>;
      problems.push(...lines.map((line) => line.integrity_check).filter((text) => text !== "ok"));
      const dangling = this.#db.pragma("foreign_key_check") as Array<{ table: string }>;
      problems.push(
        ...dangling.map((row) => `a row of ${row.table} refers to one that is not there`),
      );
    } catch (error) {
      problems.push((error as Error).message);
    }
    return problems;
  }

  maintain(idle: boolean): boolean {
    try {
      const free = idle ? (this.#db.pragma("freelist_count", { simple: true }) as number) : 0;
      if (free > 0) this.#db.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
      const log = walBytes(this.#db);
      if (log > WAL_LIMIT || (idle && log > 0)) {
        // TRUNCATE waits for readers, which hold the log for the length of one SELECT only.
        this.#db.pragma(`wal_checkpoint(${idle ? "TRUNCATE" : "PASSIVE"})`);
      }
      return free > VACUUM_PAGES;
    } catch (error) {
      throw asStoreError(error, "housekeeping");
    }
  }

  close(): void {
    if (!this.#db.open) return;
    try {
      this.#db.close();
    } finally {
      this.#unlock();
    }
  }
}

/** Opens, or makes, the store of a data directory and locks the directory until close. */
export function openSqliteStore(directory: string): Store {
  const unlock = lockDirectory(directory);
  try {
    return new SqliteStore(openWriter(directory), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

/** What a store that another thread of this process writes holds by now. */
export interface StoreReader {
  readonly blocks: Pick<BlockStore, "get">;
  readonly metadata: Pick<MetadataStore, "page" | "snapshots">;
  close(): void;
}

export function openSqliteReader(directory: string): StoreReader {
  const db = openReader(directory);
  return {
    blocks: new SqliteObjects(db, "blocks", alone),
    metadata: new SqliteMetadata(db, alone),
    close: () => db.close(),
  };
}

/** A reader has no transactions. */
function alone<T>(work: () => T): T {
  return work();
}
