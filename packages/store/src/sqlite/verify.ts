// What SQLite itself says of a database: its pages, its indexes, its references. Separate because
// every connection can ask it, and because it reads the whole file in one go.

import type { Database } from "better-sqlite3";

/** Problems, one sentence each. */
export function verifyDatabase(db: Database): string[] {
  const problems: string[] = [];
  try {
    const lines = db.pragma("integrity_check(20)") as Array<{ integrity_check: string }>;
    problems.push(...lines.map((line) => line.integrity_check).filter((text) => text !== "ok"));
    const dangling = db.pragma("foreign_key_check") as Array<{ table: string }>;
    problems.push(
      ...dangling.map((row) => `a row of ${row.table} refers to one that is not there`),
    );
  } catch (error) {
    problems.push((error as Error).message);
  }
  return problems;
}
