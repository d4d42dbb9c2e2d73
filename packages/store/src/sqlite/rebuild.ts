// Makes a new database of what can still be read of a damaged one: from both ends of each table, so
// that one bad page costs what is on it and no more. The damaged one is kept aside, never changed.

import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import type { Database, Statement } from "better-sqlite3";

import { asStoreError } from "../errors.js";
import { lockDirectory } from "../lock.js";
import { DATABASE_FILE, openWriter } from "./connection.js";
import { versionOf } from "./schema.js";

const NEW = "rebuilt";
/** Where a table ends of which that cannot be read. */
const LARGEST_ROWID = 2 ** 40;
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

/** Reads a copy: opening a database may already change it. */
function copyInto(directory: string, fresh: string): Rebuilt {
  const target = openWriter(fresh);
  try {
    const old = join(fresh, "old.sqlite");
    for (const end of ["", "-wal"]) {
      const file = join(directory, `${DATABASE_FILE}${end}`);
      if (existsSync(file)) copyFileSync(file, `${old}${end}`);
    }
    const source = openDamaged(old);
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

/** Also one whose file is shorter than its first page says. */
function openDamaged(path: string): Database {
  const db = new BetterSqlite3(path);
  try {
    db.unsafeMode(true);
    db.pragma("writable_schema = ON");
    versionOf(db);
    // What belongs to what is in there; without it there is nothing to bring over.
    db.prepare("SELECT 1 FROM workspaces LIMIT 1").get();
    return db;
  } catch (error) {
    db.close();
    throw error;
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

  /** Forwards over what can be read; behind a bad place on, and back to it from there. */
  #copy(): void {
    const end = this.#last();
    let [from, leap, bad] = [Number.MIN_SAFE_INTEGER, 1, 0];
    while (from <= end) {
      try {
        const rows = this.#read(from);
        this.#insert(rows);
        if (this.broken && leap > 1) this.#copyBack(from, bad);
        const last = rows.at(-1);
        if (!last || rows.length < BATCH) return;
        [from, leap] = [last.rowid_, 1];
      } catch {
        if (leap === 1) bad = from = this.#readSingly(from);
        this.broken = true;
        from = Math.max(from, 0) + leap;
        leap *= 2;
      }
    }
  }

  #last(): number {
    try {
      const sql = `SELECT max(rowid) FROM ${this.#table}`;
      return (this.#source.prepare(sql).pluck().get() as number | null) ?? 0;
    } catch {
      return LARGEST_ROWID;
    }
  }

  #read(from: number, limit = BATCH): Row[] {
    return this.#statement(">", "ASC").all(from, limit) as Row[];
  }

  #statement(side: "<" | ">", order: "ASC" | "DESC"): Statement {
    const columns = this.#columns.map((name) => `"${name}"`).join(", ");
    return this.#source.prepare(`SELECT rowid AS rowid_, ${columns} FROM ${this.#table} NOT INDEXED
      WHERE rowid ${side} ? ORDER BY rowid ${order} LIMIT ?`);
  }

  /** One by one up to the bad place; gives the last number that could be read, or `from`. */
  #readSingly(from: number): number {
    let last = from;
    try {
      for (let [row] = this.#read(last, 1); row; [row] = this.#read(last, 1)) {
        this.#insert([row]);
        last = row.rowid_;
      }
    } catch {
      // Here it is.
    }
    return last;
  }

  /** What lies between a bad place and where reading went on. */
  #copyBack(from: number, bad: number): void {
    try {
      const before = this.#statement("<", "DESC");
      for (let at = from + 1; ;) {
        const [row] = before.all(at, 1) as Row[];
        if (!row || row.rowid_ <= bad) return;
        this.#insert([row]);
        at = row.rowid_;
      }
    } catch {
      // The other side of it.
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
