// Blocks and pages in SQLite. Both tables are alike but for the columns beside the data, so the statements
// are prepared once per table here and the two faces only name their columns.

import type { Database, Statement } from "better-sqlite3";

import { asStoreError } from "../errors.js";
import { missingBitmap } from "../store.js";
import type { Block, BlockStore, Scan, StoredBlock } from "../store.js";

/** The statements over one table of objects. */
export class ObjectTable {
  readonly #table: "blocks" | "pages";
  readonly #has: Statement;
  readonly #get: Statement;
  readonly #insert: Statement;
  readonly #remove: Statement;
  readonly #scan: Statement;

  constructor(db: Database, table: "blocks" | "pages", columns: readonly string[]) {
    this.#table = table;
    const names = ["id", ...columns].join(", ");
    const marks = ["?", ...columns.map(() => "?")].join(", ");
    this.#has = db.prepare(`SELECT 1 FROM ${table} WHERE id = ?`).pluck();
    this.#get = db.prepare(`SELECT ${columns.join(", ")} FROM ${table} WHERE id = ?`);
    this.#insert = db.prepare(`INSERT OR IGNORE INTO ${table} (${names}) VALUES (${marks})`);
    this.#remove = db.prepare(`DELETE FROM ${table} WHERE id = ? RETURNING length(data)`).pluck();
    this.#scan = db.prepare(
      `SELECT rowid AS row, id, length(data) AS bytes FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ?`,
    );
  }

  missing(ids: Uint8Array): Uint8Array {
    return this.#guard("reading", () =>
      missingBitmap(ids, (id) => this.#has.get(id) !== undefined),
    );
  }

  /** Returns whether it was added. */
  insert(...values: unknown[]): boolean {
    return this.#guard("writing", () => this.#insert.run(...values).changes === 1);
  }

  get(id: Uint8Array): unknown {
    return this.#guard("reading", () => this.#get.get(id));
  }

  delete(ids: Iterable<Uint8Array>): number {
    return this.#guard("deleting", () => {
      let freed = 0;
      for (const id of ids) freed += (this.#remove.get(id) as number | undefined) ?? 0;
      return freed;
    });
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

export class SqliteBlocks implements BlockStore {
  readonly #table: ObjectTable;
  readonly #together: <T>(work: () => T) => T;

  constructor(db: Database, together: <T>(work: () => T) => T) {
    this.#table = new ObjectTable(db, "blocks", ["encoding", "raw_len", "data"]);
    this.#together = together;
  }

  missing(ids: Uint8Array): Uint8Array {
    return this.#table.missing(ids);
  }

  put(blocks: Iterable<Block>): number {
    return this.#together(() => {
      let added = 0;
      for (const { id, encoding, rawLength, data } of blocks) {
        if (this.#table.insert(id, encoding, rawLength, data)) added += data.length;
      }
      return added;
    });
  }

  get(id: Uint8Array): StoredBlock | undefined {
    const row = this.#table.get(id) as
      | { encoding: number; raw_len: number; data: Buffer }
      | undefined;
    return row && { encoding: row.encoding, rawLength: row.raw_len, data: row.data };
  }

  delete(ids: Iterable<Uint8Array>): number {
    return this.#together(() => this.#table.delete(ids));
  }

  scan(from: number, limit: number): Scan {
    return this.#table.scan(from, limit);
  }
}
