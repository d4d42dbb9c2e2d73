// What is kept is its owner's business alone, also in a data directory that others may enter and
// whose files an older version or another umask made readable.

import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { getSystemErrorMessage } from "node:util";

import { DevdevError } from "@devdev/errno";

const OTHERS = 0o077;

/**
 * Makes a directory of its owner's alone, with what is missing above it. Step by step: Node's own
 * recursive mkdir never ends where mkdir(2) says ENOENT of a name whose parent is there, as below
 * /proc.
 */
export function makeDirectory(path: string): void {
  const missing = [resolve(path)];
  for (let at = dirname(resolve(path)); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const each of missing) {
    try {
      mkdirSync(each, { mode: 0o700 });
    } catch (error) {
      // Another process may have been faster.
      if (!statSync(each, { throwIfNoEntry: false })?.isDirectory()) throw notMade(each, error);
    }
  }
}

function notMade(path: string, cause: unknown): DevdevError {
  const { code = "EIO", errno = 0 } = cause as NodeJS.ErrnoException;
  const message = `cannot make the directory ${path}: ${getSystemErrorMessage(errno) ?? code}`;
  const hint = "choose another place for devdev's data (DEVDEV_HOME)";
  return new DevdevError(code, message, { hint, cause });
}

/** Makes the directory, and takes from group and others what they may do with it. */
export function privateDirectory(directory: string): void {
  makeDirectory(directory);
  closeToOthers(directory);
}

/** The same for files of it, those that there are. By name: opening one could drop a lock. */
export function privateFiles(directory: string, names: readonly string[]): void {
  for (const name of names) closeToOthers(join(directory, name));
}

function closeToOthers(path: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if (mode & OTHERS) chmodSync(path, mode & 0o7700);
}
