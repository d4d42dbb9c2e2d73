// The end of a process that serves others.

import * as native from "@devdev/native";

/** What an exit takes at most, in milliseconds; usually it is some 20. */
const LIMIT_MS = 1000;

/**
 * process.exit, but it takes no longer than a second. By itself it waits for all threads: one of
 * the pool may be inside a system call that does not return, and one that compiles may wait for a
 * collection that the main thread does not make any more
 * (https://github.com/nodejs/node/issues/54918). To be called when all is written.
 */
export function leave(code: number): never {
  native.endWithin(LIMIT_MS, code);
  process.exit(code);
}
