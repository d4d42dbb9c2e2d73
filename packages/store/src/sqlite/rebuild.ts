// Makes a new database of what can still be read of a damaged one: from both ends of each table, so
// that one bad page costs what is on it and no more. The damaged one is kept aside, never changed.

import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import type { Database } from "better-sqlite3";

import { asStoreError } from "../errors.js";
import { lockDirectory } from "../lock.js";
import { DATABASE_FILE, openWriter } from "./connection.js";

const NEW = "rebuilt";
/** Rows between which a table that cannot be read through is tried again, as powers of two. */
const LONGEST_LEAP = 1 << 24;
const BATCH = 256;

export interface Rebuilt {
  /** Rows that were brought over, by table. */
  rows: Record<string, number>;
  /** Tables that could not be read to their end. */
  incomplete: string[];
}

/**
 * Locks the directory for it. `aside`: a directory that does not exist, for the damaged files. The
 * database must be one that SQLite opens; else nothing is changed.
 */
export function rebuildDatabase(directory: string, aside: string): Rebuilt {
  const unlock = lockDirectory(directory);
  const fresh = join(directory, NEW);
  try {
    rmSync(fresh, { recursive: true, force: true });
    const rebuilt = copyInto(directory, fresh);
    mkdirSync(aside, { recursive: true, mode: 0o700 });
    for (const end of ["", "-wal", "-shm"]) {
      const file = `${DATABASE_FILE}${end}`;
      if (existsSync(join(directory, file))) renameSync(join(directory, file), join(aside, file));
    }
    renameSync(join(fresh, DATABASE_FILE), join(directory, DATABASE_FILE));
    return rebuilt;
  } catch (error) {
    throw asStoreError(error, "rebuilding the database");
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    unlock();
  }
}

function copyInto(directory: string, fresh: string): Rebuilt {
  const target = openWriter(fresh);
  try {
    const source = new BetterSqlite3(join(directory, DATABASE_FILE), { readonly: true });
    try {
      return copyAll(source, target);
    } finally {
      source.close();
    }
  } finally {
    target.pragma("wal_checkpoint(TRUNCATE)");
    target.pragma("journal_mode = DELETE");
    target.close();
  }
}

function copyAll(source: Database, target: Database): Rebuilt {
  const rebuilt: Rebuilt = { rows: {}, incomplete: [] };
  const tables = target
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all() as string[];
  // Rows may refer to others that are gone: those go at the end.
  target.pragma("foreign_keys = OFF");
  for (const table of tables) {
    const copied = new TableCopy(source, target, table);
    rebuilt.rows[table] = copied.run();
    if (copied.broken) rebuilt.incomplete.push(table);
  }
  for (const { table, rowid } of target.pragma("foreign_key_check") as Dangling[]) {
    target.prepare(`DELETE FROM ${table} WHERE rowid = ?`).run(rowid);
  }
  target.pragma("foreign_keys = ON");
  return rebuilt;
}

interface Dangling {
  table: string;
  rowid: number;
}

type Row = Record<string, unknown> & { rowid_: number };

class TableCopy {
  /** Something could not be read. */
  broken = false;
  readonly #source: Database;
  readonly #target: Database;
  readonly #table: string;
  readonly #columns: string[];
  readonly #numbered: boolean;
  #copied = 0;

  constructor(source: Database, target: Database, table: string) {
    this.#source = source;
    this.#target = target;
    this.#table = table;
    const there = this.#columnsOf(source);
    const info = target.pragma(`table_info(${table})`) as Array<{ type: string; pk: number }>;
    this.#numbered = info.some(({ type, pk }) => type === "INTEGER" && pk === 1);
    this.#columns = this.#columnsOf(target).filter((name) => there.includes(name));
  }

  run(): number {
    if (this.#columns.length === 0) this.broken = true;
    else if (this.#columnsOf(this.#source).length > 0) this.#copy();
    return this.#copied;
  }

  #columnsOf(db: Database): string[] {
    try {
      const rows = db.pragma(`table_info(${this.#table})`) as Array<{ name: string }>;
      return rows.map(({ name }) => name);
    } catch {
      return [];
    }
  }

  /** Forwards over what can be read, leaping over what cannot. */
  #copy(): void {
    let last: number | undefined;
    let leap = 1;
    const end = this.#last();
    for (let from = Number.MIN_SAFE_INTEGER; ;) {
      try {
        const rows = this.#read(from);
        this.#insert(rows);
        if (rows.length < BATCH) return;
        [from, leap] = [rows.at(-1)!.rowid_, 1];
        last = from;
      } catch {
        this.broken = true;
        // One by one up to the bad place, then on behind it.
        last = this.#readSingly(from) ?? last;
        from = (last ?? 0) + leap;
        leap = Math.min(leap * 2, LONGEST_LEAP);
        if (from > end) return;
      }
    }
  }

  #last(): number {
    try {
      const sql = `SELECT max(rowid) FROM ${this.#table}`;
      return (this.#source.prepare(sql).pluck().get() as number | null) ?? 0;
    } catch {
      return LONGEST_LEAP;
    }
  }

  #read(from: number, limit = BATCH): Row[] {
    const columns = this.#columns.map((name) => `"${name}"`).join(", ");
    const sql = `SELECT rowid AS rowid_, ${columns} FROM ${this.#table} NOT INDEXED
      WHERE rowid > ? ORDER BY rowid LIMIT ?`;
    return this.#source.prepare(sql).all(from, limit) as Row[];
  }

  #readSingly(from: number): number | undefined {
    let last: number | undefined;
    for (;;) {
      try {
        const [row] = this.#read(last ?? from, 1);
        if (!row) return last;
        this.#insert([row]);
        last = row.rowid_;
      } catch {
        return last;
      }
    }
  }

  #insert(rows: Row[]): void {
    // Where a column is the row number, it brings it along itself.
    const own = this.#numbered ? [] : ["rowid"];
    const names = [...own, ...this.#columns.map((name) => `"${name}"`)].join(", ");
    const values = [...own.map(() => "@rowid_"), ...this.#columns.map((name) => `@${name}`)];
    const insert = this.#target.prepare(
      `INSERT OR IGNORE INTO ${this.#table} (${names}) VALUES (${values.join(", ")})`,
    );
    this.#target.transaction(() => {
      for (const row of rows) this.#copied += insert.run(row).changes;
    })();
  }
}
