// Stats and Dirents that come from the daemon as their fields, as objects with Node's methods
// again.

import type { BigIntStats, Dirent, Stats } from "node:fs";
import { constants } from "node:fs";

const KINDS = {
  isFile: constants.S_IFREG,
  isDirectory: constants.S_IFDIR,
  isSymbolicLink: constants.S_IFLNK,
  isFIFO: constants.S_IFIFO,
  isSocket: constants.S_IFSOCK,
  isCharacterDevice: constants.S_IFCHR,
  isBlockDevice: constants.S_IFBLK,
} as const;
const DIRENT_KINDS: Record<string, keyof typeof KINDS> = {
  file: "isFile",
  directory: "isDirectory",
  symlink: "isSymbolicLink",
  fifo: "isFIFO",
  socket: "isSocket",
  character: "isCharacterDevice",
  block: "isBlockDevice",
};

function withTests(target: object, test: (kind: keyof typeof KINDS) => boolean): object {
  for (const name of Object.keys(KINDS) as Array<keyof typeof KINDS>) {
    Object.defineProperty(target, name, { value: () => test(name) });
  }
  return target;
}

function stats(fields: Record<string, unknown>): Stats | BigIntStats {
  const type = Number(fields["mode"]) & constants.S_IFMT;
  return withTests({ ...fields }, (name) => KINDS[name] === type) as Stats | BigIntStats;
}

function dirent({
  name,
  parentPath,
  kind,
}: {
  name: string;
  parentPath: string;
  kind: string;
}): Dirent {
  return withTests({ name, parentPath }, (test) => DIRENT_KINDS[kind] === test) as Dirent;
}

/** Undoes what the daemon did to make a result portable. */
export function revived(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$stats" in value) return stats(value.$stats as Record<string, unknown>);
  if ("$dirents" in value)
    return (value.$dirents as Array<Parameters<typeof dirent>[0]>).map(dirent);
  return value;
}
