// Stats and Dirents with Node's methods, and how they travel: as their fields. Classes of our own,
// because Node's constructors are not for callers. Here because the library makes them of what the
// engine gives and the client of what the daemon sends, and both must answer alike.

const S_IFMT = 0o170000;
/** File type bits, shifted right by 12 (as in listings). */
export const KIND = {
  fifo: 1,
  char: 2,
  dir: 4,
  block: 6,
  file: 8,
  symlink: 10,
  socket: 12,
} as const;

/** The questions that Stats, BigIntStats and Dirent all answer. */
abstract class FileType {
  protected abstract kind(): number;
  isFile(): boolean {
    return this.kind() === KIND.file;
  }
  isDirectory(): boolean {
    return this.kind() === KIND.dir;
  }
  isSymbolicLink(): boolean {
    return this.kind() === KIND.symlink;
  }
  isFIFO(): boolean {
    return this.kind() === KIND.fifo;
  }
  isSocket(): boolean {
    return this.kind() === KIND.socket;
  }
  isBlockDevice(): boolean {
    return this.kind() === KIND.block;
  }
  isCharacterDevice(): boolean {
    return this.kind() === KIND.char;
  }
}

/** What Stats and BigIntStats make of their fields. */
export abstract class FileStats extends FileType {
  abstract readonly mode: number | bigint;
  abstract readonly atimeMs: number | bigint;
  abstract readonly mtimeMs: number | bigint;
  abstract readonly ctimeMs: number | bigint;
  abstract readonly birthtimeMs: number | bigint;
  protected kind(): number {
    return (Number(this.mode) & S_IFMT) >> 12;
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

/** An entry of a listing. */
export class DirectoryEntry extends FileType {
  readonly name: string | Buffer;
  readonly parentPath: string;
  readonly #kind: number;

  constructor(name: string | Buffer, parentPath: string, kind: number) {
    super();
    this.name = name;
    this.parentPath = parentPath;
    this.#kind = kind;
  }
  protected kind(): number {
    return this.#kind;
  }
  /** What the constructor takes. */
  get fields(): [name: string | Buffer, parentPath: string, kind: number] {
    return [this.name, this.parentPath, this.#kind];
  }
}

class SentStats extends FileStats {
  declare readonly mode: number | bigint;
  declare readonly atimeMs: number | bigint;
  declare readonly mtimeMs: number | bigint;
  declare readonly ctimeMs: number | bigint;
  declare readonly birthtimeMs: number | bigint;

  constructor(fields: object) {
    super();
    Object.assign(this, fields);
  }
}

/** The result of a file call as plain values. */
export function portable(value: unknown): unknown {
  if (Array.isArray(value) && value[0] instanceof DirectoryEntry) {
    return { $dirents: (value as DirectoryEntry[]).map(({ fields }) => fields) };
  }
  return value instanceof FileStats ? { $stats: { ...value } } : value;
}

/** Undoes what `portable` did. */
export function revived(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$stats" in value) return new SentStats(value.$stats as object);
  if (!("$dirents" in value)) return value;
  const entries = value.$dirents as ConstructorParameters<typeof DirectoryEntry>[];
  return entries.map((fields) => new DirectoryEntry(...fields));
}
