// What is kept is its owner's business alone, also in a data directory that others may enter and
// whose files an older version or another umask made readable.

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

const OTHERS = 0o077;

/** Makes the directory, and takes from group and others what they may do with it. */
export function privateDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
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
