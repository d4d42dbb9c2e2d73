// The store over one SQLite database: the writer (all of a Store) and the reader (what there is by
// now, for a thread of its own).

import type { Database } from "better-sqlite3";

import { asStoreError, StoreError } from "../errors.js";
import { lockDirectory } from "../lock.js";
import type { BlockStore, MetadataStore, Page, Store, TransactionOptions } from "../store.js";
import { BUSY_TIMEOUT_MS, openReader, openWriter } from "./connection.js";
import { logFileBytes, type LogPosition, logPosition } from "./log.js";
import { LogSync } from "./log-sync.js";
import { SqliteMetadata } from "./metadata.js";
import { SqliteObjects } from "./objects.js";
import type { MigrateOptions } from "./schema.js";
import { verifyDatabase } from "./verify.js";

/**
 * The log is copied into the database when so much of it is not there yet, even if commits keep
 * coming. A file that is longer takes a while to be made short.
 */
const LOG_LIMIT = 64 << 20;

export interface SqliteOptions extends Pick<MigrateOptions, "onStep"> {
  /**
   * Asked when a log has grown long: whether another thread copies it (`copyLog`), so that commits
   * do not wait for that.
   */
  copiesLog?: (position: LogPosition) => boolean;
}

/** Database pages that one call of maintain gives back to the file system. */
const VACUUM_PAGES = 1024;
/** A log that a reader holds for longer stays as it is until the next idle moment. */
const LOG_TIMEOUT_MS = 50;

class SqliteStore implements Store {
  readonly blocks: BlockStore;
  readonly metadata: MetadataStore;
  readonly #db: Database;
  readonly #unlock: () => void;
  readonly #logSync: LogSync;
  readonly #copiesLog: (position: LogPosition) => boolean;

  constructor(db: Database, unlock: () => void, { copiesLog = () => false }: SqliteOptions) {
    this.#db = db;
    this.#copiesLog = copiesLog;
    this.#logSync = new LogSync(`${db.name}-wal`);
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
      const result = db.transaction(run).immediate();
      if (!durable) this.#logSync.note(logPosition(db).written);
      return result;
    } catch (error) {
      throw asStoreError(error, "committing");
    } finally {
      if (!durable) db.pragma("synchronous = FULL");
    }
  }

  verify(): string[] {
    return verifyDatabase(this.#db);
  }

  maintain(idle: boolean): boolean {
    try {
      const free = idle ? (this.#db.pragma("freelist_count", { simple: true }) as number) : 0;
      if (free > 0) this.#db.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
      this.#tendLog(idle);
      return free > VACUUM_PAGES;
    } catch (error) {
      throw asStoreError(error, "housekeeping");
    }
  }

  rest(): void {
    this.#db.pragma("shrink_memory");
    try {
      if (this.#logState() !== "taken") this.#copyLog("TRUNCATE");
    } catch (error) {
      throw asStoreError(error, "housekeeping");
    }
  }

  #tendLog(idle: boolean): void {
    const state = this.#logState();
    if (state === "long") return this.#copyLog("PASSIVE");
    if (state === "taken" || !idle) return;
    const bytes = logFileBytes(this.#db);
    if (bytes > 0) this.#copyLog(bytes <= LOG_LIMIT ? "TRUNCATE" : "PASSIVE");
  }

  /** "taken": it is long, and another thread copies it. */
  #logState(): "short" | "long" | "taken" {
    const position = logPosition(this.#db);
    if (position.written <= LOG_LIMIT) return "short";
    return this.#copiesLog(position) ? "taken" : "long";
  }

  /** Copies what readers let it copy: TRUNCATE waits for those of one SELECT, not for a check. */
  #copyLog(mode: "TRUNCATE" | "PASSIVE"): void {
    this.#db.pragma(`busy_timeout = ${LOG_TIMEOUT_MS}`);
    try {
      this.#db.pragma(`wal_checkpoint(${mode})`);
    } finally {
      this.#db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  close(): void {
    if (!this.#db.open) return;
    try {
      this.#logSync.close();
      this.#db.close();
    } finally {
      this.#unlock();
    }
  }
}

/**
 * Opens, or makes, the store of a data directory and locks the directory until close. A store of an
 * older version becomes one of this version.
 */
export function openSqliteStore(directory: string, options: SqliteOptions = {}): Store {
  const unlock = lockDirectory(directory);
  try {
    return new SqliteStore(openWriter(directory, options), unlock, options);
  } catch (error) {
    unlock();
    throw error;
  }
}

/** What a store that another thread of this process writes holds by now. */
export interface StoreReader {
  readonly blocks: Pick<BlockStore, "get" | "missing" | "scan">;
  readonly metadata: Pick<
    MetadataStore,
    | "bases"
    | "counter"
    | "history"
    | "page"
    | "roots"
    | "scanPages"
    | "snapshots"
    | "workspace"
    | "workspaces"
  > & {
    /** Those that are there of many at once, in any order. */
    pages(ids: readonly Uint8Array[]): Page[];
  };
  /** Problems of the storage below the objects (one sentence each). */
  verify(): string[];
  /** All that `run` reads is of one moment. For as long the log cannot be given back. */
  atOneMoment<T>(run: () => T): T;
  /** Lets go of memory that only speeds up what comes next. */
  rest(): void;
  close(): void;
}

export function openSqliteReader(directory: string): StoreReader {
  const db = openReader(directory);
  return {
    blocks: new SqliteObjects(db, "blocks", alone),
    metadata: new SqliteMetadata(db, alone),
    verify: () => verifyDatabase(db),
    atOneMoment: (run) =>
      db.transaction(() => {
        // The moment is that of the first read.
        db.pragma("schema_version");
        return run();
      })(),
    rest: () => void db.pragma("shrink_memory"),
    close: () => db.close(),
  };
}

/** A reader has nothing to commit. */
function alone<T>(work: () => T): T {
  return work();
}
