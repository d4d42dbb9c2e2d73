// Blocks and pages in SQLite: two tables of the same columns.

import type { Database, Statement } from "better-sqlite3";

import { asStoreError } from "../errors.js";
import { checkRange, missingBitmap } from "../store.js";
import type { Block, BlockStore, Scan, StoredObject } from "../store.js";

type ManyRow = [id: Buffer, encoding: number, rawLength: number, data: Buffer];

interface ScannedRow {
  row: number;
  id: Buffer;
  bytes: number;
  rawLength: number;
}

/** Ids of one SELECT. */
const TOGETHER = 64;

/** One table of objects. A put or a delete of several is one transaction. */
export class SqliteObjects implements BlockStore {
  readonly #table: "blocks" | "pages";
  readonly #together: <T>(work: () => T) => T;
  readonly #any: Statement;
  readonly #has: Statement;
  readonly #get: Statement;
  readonly #getMany: Statement;
  readonly #range: Statement;
  readonly #insert: Statement;
  readonly #remove: Statement;
  readonly #scan: Statement;

  constructor(db: Database, table: "blocks" | "pages", together: <T>(work: () => T) => T) {
    this.#table = table;
    this.#together = together;
    this.#any = db.prepare(`SELECT 1 FROM ${table} LIMIT 1`).pluck();
    this.#has = db.prepare(`SELECT 1 FROM ${table} WHERE id = ?`).pluck();
    this.#get = db.prepare(`SELECT encoding, raw_len, data FROM ${table} WHERE id = ?`);
    this.#getMany = db
      .prepare(
        `SELECT id, encoding, raw_len, data FROM ${table} WHERE id IN (?${", ?".repeat(TOGETHER - 1)})`,
      )
      .raw();
    // Of a long object this reads as much as it gives; of an empty one substr makes NULL.
    this.#range = db
      .prepare(`SELECT coalesce(substr(data, ?, ?), x'') FROM ${table} WHERE id = ?`)
      .pluck();
    this.#insert = db.prepare(
      `INSERT OR IGNORE INTO ${table} (id, encoding, raw_len, data) VALUES (?, ?, ?, ?)`,
    );
    this.#remove = db.prepare(`DELETE FROM ${table} WHERE id = ? RETURNING length(data)`).pluck();
    this.#scan = db.prepare(
      `SELECT rowid AS row, id, length(data) AS bytes, raw_len AS rawLength FROM ${table}
       WHERE rowid > ? ORDER BY rowid LIMIT ?`,
    );
  }

  missing(ids: Uint8Array): Uint8Array {
    return this.#guard("reading", () => {
      // A hundred thousand look-ups take a quarter of a second.
      const empty = this.#any.get() === undefined;
      return missingBitmap(ids, (id) => !empty && this.#has.get(id) !== undefined);
    });
  }

  put(objects: Iterable<Block>): number {
    return this.#together(() =>
      this.#guard("writing", () => {
        let added = 0;
        for (const { id, encoding, rawLength, data } of objects) {
          const { changes } = this.#insert.run(id, encoding, rawLength, data);
          if (changes === 1) added += data.length;
        }
        return added;
      }),
    );
  }

  get(id: Uint8Array): StoredObject | undefined {
    return this.#guard("reading", () => {
      const row = this.#get.get(id) as
        | { encoding: number; raw_len: number; data: Buffer }
        | undefined;
      return row && { encoding: row.encoding, rawLength: row.raw_len, data: row.data };
    });
  }

  /** Those that are there, in any order; an id that is given twice counts once. */
  getAll(ids: readonly Uint8Array[]): Block[] {
    return this.#guard("reading", () => {
      const found: Block[] = [];
      for (let from = 0; from < ids.length; from += TOGETHER) {
        // What is asked for twice is found once.
        const some = Array.from({ length: TOGETHER }, (_, n) => ids[from + n] ?? ids[from]);
        for (const row of this.#getMany.all(...some) as ManyRow[]) {
          found.push({ id: row[0], encoding: row[1], rawLength: row[2], data: row[3] });
        }
      }
      return found;
    });
  }

  range(id: Uint8Array, offset: number, length: number): Uint8Array | undefined {
    checkRange(offset, length);
    return this.#guard(
      "reading",
      () => this.#range.get(offset + 1, length, id) as Buffer | undefined,
    );
  }

  delete(ids: Iterable<Uint8Array>): number {
    return this.#together(() =>
      this.#guard("deleting", () => {
        let freed = 0;
        for (const id of ids) freed += (this.#remove.get(id) as number | undefined) ?? 0;
        return freed;
      }),
    );
  }

  scan(from: number, limit: number): Scan {
    return this.#guard("listing", () => {
      const rows = this.#scan.all(from, limit) as ScannedRow[];
      return {
        objects: rows.map(({ id, bytes, rawLength }) => ({ id, bytes, rawLength })),
        next: rows.length === limit ? rows.at(-1)?.row : undefined,
      };
    });
  }

  #guard<T>(doing: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw asStoreError(error, `${doing} ${this.#table}`);
    }
  }
}
