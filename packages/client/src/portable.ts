// Stats and Dirents that come from the daemon as their fields, as objects with Node's methods
// again.

import { constants } from "node:fs";

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK } = constants;
/** Type bits by the daemon's word for an entry of a listing. */
const KINDS: Record<string, number> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  character: S_IFCHR,
  block: S_IFBLK,
};

abstract class FileType {
  protected abstract type(): number;
  isFile(): boolean {
    return this.type() === S_IFREG;
  }
  isDirectory(): boolean {
    return this.type() === S_IFDIR;
  }
  isSymbolicLink(): boolean {
    return this.type() === S_IFLNK;
  }
  isFIFO(): boolean {
    return this.type() === S_IFIFO;
  }
  isSocket(): boolean {
    return this.type() === S_IFSOCK;
  }
  isCharacterDevice(): boolean {
    return this.type() === S_IFCHR;
  }
  isBlockDevice(): boolean {
    return this.type() === S_IFBLK;
  }
}

class RemoteStats extends FileType {
  declare readonly mode: number | bigint;
  declare readonly atimeMs: number | bigint;
  declare readonly mtimeMs: number | bigint;
  declare readonly ctimeMs: number | bigint;
  declare readonly birthtimeMs: number | bigint;

  constructor(fields: object) {
    super();
    Object.assign(this, fields);
  }

  protected type(): number {
    return Number(this.mode) & S_IFMT;
  }
  get atime(): Date {
    return dateOf(this.atimeMs);
  }
  get mtime(): Date {
    return dateOf(this.mtimeMs);
  }
  get ctime(): Date {
    return dateOf(this.ctimeMs);
  }
  get birthtime(): Date {
    return dateOf(this.birthtimeMs);
  }
}

// Rounded as Node rounds: to the nearest millisecond.
function dateOf(ms: number | bigint): Date {
  return new Date(Math.round(Number(ms)));
}

interface Entry {
  name: string | Buffer;
  parentPath: string;
  kind: string;
}

class RemoteDirent extends FileType {
  readonly name: string | Buffer;
  readonly parentPath: string;
  readonly #type: number;

  constructor({ name, parentPath, kind }: Entry) {
    super();
    this.name = name;
    this.parentPath = parentPath;
    this.#type = KINDS[kind] ?? 0;
  }

  protected type(): number {
    return this.#type;
  }
}

/** Undoes what the daemon did to make a result portable. */
export function revived(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$stats" in value) {
    return new RemoteStats(value.$stats as object);
  }
  if ("$dirents" in value) {
    return (value.$dirents as Entry[]).map((entry) => new RemoteDirent(entry));
  }
  return value;
}
