// Blocks and pages in SQLite: two tables of the same columns.

import type { Database, Statement } from "better-sqlite3";

import { asStoreError } from "../errors.js";
import { missingBitmap } from "../store.js";
import type { Block, BlockStore, Scan, StoredObject } from "../store.js";

/** One table of objects. A put or a delete of several is one transaction. */
export class SqliteObjects implements BlockStore {
  readonly #table: "blocks" | "pages";
  readonly #together: <T>(work: () => T) => T;
  readonly #has: Statement;
  readonly #get: Statement;
  readonly #insert: Statement;
  readonly #remove: Statement;
  readonly #scan: Statement;

  constructor(db: Database, table: "blocks" | "pages", together: <T>(work: () => T) => T) {
    this.#table = table;
    this.#together = together;
    this.#has = db.prepare(`SELECT 1 FROM ${table} WHERE id = ?`).pluck();
    this.#get = db.prepare(`SELECT encoding, raw_len, data FROM ${table} WHERE id = ?`);
    this.#insert = db.prepare(
      `INSERT OR IGNORE INTO ${table} (id, encoding, raw_len, data) VALUES (?, ?, ?, ?)`,
    );
    this.#remove = db.prepare(`DELETE FROM ${table} WHERE id = ? RETURNING length(data)`).pluck();
    this.#scan = db.prepare(
      `SELECT rowid AS row, id, length(data) AS bytes FROM ${table}
       WHERE rowid > ? ORDER BY rowid LIMIT ?`,
    );
  }

  missing(ids: Uint8Array): Uint8Array {
    return this.#guard("reading", () =>
      missingBitmap(ids, (id) => this.#has.get(id) !== undefined),
    );
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
      const rows = this.#scan.all(from, limit) as Array<{ row: number; id: Buffer; bytes: number }>;
      return {
        objects: rows.map(({ id, bytes }) => ({ id, bytes })),
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
