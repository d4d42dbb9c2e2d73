// A store as an older devdev has left it, for tests of what becomes of it.

import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";

import { DATABASE_FILE } from "../sqlite/connection.js";
import { migrate } from "../sqlite/schema.js";

/**
 * Makes of the database in that directory, which nobody has open, one of an older version: with its
 * tables, and all that they have a place for.
 */
export function makeOlder(directory: string, version: number): void {
  const db = new BetterSqlite3(join(directory, DATABASE_FILE));
  const list = (sql: string): string[] => db.prepare<[], string>(sql).pluck().all();
  const tables = () =>
    list("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
  const columns = (schema: string, table: string) =>
    list(`SELECT name FROM pragma_table_info('${table}', '${schema}')`);
  try {
    db.pragma("foreign_keys = OFF");
    db.exec("ATTACH ':memory:' AS kept");
    for (const table of tables()) {
      db.exec(`CREATE TABLE kept.${table} AS SELECT * FROM main.${table}`);
      db.exec(`DROP TABLE main.${table}`);
    }
    db.pragma("user_version = 0");
    migrate(db, { to: version });
    for (const table of tables()) {
      const there = new Set(columns("kept", table));
      const both = columns("main", table)
        .filter((name) => there.has(name))
        .join(", ");
      db.exec(`INSERT INTO main.${table} (${both}) SELECT ${both} FROM kept.${table}`);
    }
  } finally {
    db.close();
  }
}
