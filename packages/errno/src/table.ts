// The errno table: numbers and texts by name. Both come from libuv through Node, so that our errors
// read as Node's do on every platform; the few names that libuv lacks are added here.

import { getSystemErrorMap } from "node:util";

export interface ErrnoEntry {
  /** Negative, as in Node's errors. */
  errno: number;
  /** For example "no such file or directory". */
  text: string;
}

/** What the engine can answer and libuv has no name for (Linux's numbers). */
const BEYOND_LIBUV: ReadonlyArray<[string, ErrnoEntry]> = [
  ["ESTALE", { errno: -116, text: "stale file handle" }],
  ["EDQUOT", { errno: -122, text: "disk quota exceeded" }],
];
/** The engine's name -> Node's name of the same number. */
const SYNONYMS: Readonly<Record<string, string>> = {
  EOPNOTSUPP: "ENOTSUP",
  EWOULDBLOCK: "EAGAIN",
};

const TABLE: ReadonlyMap<string, ErrnoEntry> = new Map([
  ...BEYOND_LIBUV,
  ...[...getSystemErrorMap()].map(([errno, [code, text]]): [string, ErrnoEntry] => [
    code,
    { errno, text },
  ]),
]);

/** The name that errors carry for `code` (EOPNOTSUPP is ENOTSUP in Node). */
export function canonicalCode(code: string): string {
  return SYNONYMS[code] ?? code;
}

/** Number and text of an errno name; undefined when it is none. */
export function errnoEntry(code: string): ErrnoEntry | undefined {
  return TABLE.get(canonicalCode(code));
}

/** The name of an errno number (positive, this host's). */
export function errnoName(errno: number): string {
  const found = [...TABLE].find(([, entry]) => entry.errno === -errno);
  return found?.[0] ?? `errno ${errno}`;
}
