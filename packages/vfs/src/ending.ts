// The end of a process that serves others.

import * as native from "@devdev/native";

/** What an exit takes at most, in milliseconds. */
const LIMIT_MS = 5000;

/**
 * process.exit, which waits for all worker threads, but not for longer than 5 seconds: one of them
 * may be inside a system call that does not return. To be called when all is written.
 */
export function leave(code: number): never {
  native.endWithin(LIMIT_MS, code);
  process.exit(code);
}
