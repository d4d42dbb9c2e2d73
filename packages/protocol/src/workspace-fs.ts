// The file API of a workspace: Node's fs.promises and the sync forms, with Node's signatures and
// errors. Paths are absolute within the workspace ("/" is its root); a Buffer is taken where a name
// is not UTF-8.

import type { BigIntStats, Dirent, MakeDirectoryOptions, RmOptions, StatsFs, Stats } from "node:fs";

export type PathArgument = string | Buffer;
export type Data = string | NodeJS.ArrayBufferView;
export type EncodingOption = BufferEncoding | "buffer" | null | undefined;
export type TimeArgument = number | string | Date;
export interface ReadOptions {
  encoding?: EncodingOption;
  flag?: string | number;
}
export interface WriteOptions {
  encoding?: BufferEncoding | null;
  mode?: number;
  flag?: string | number;
  flush?: boolean;
}
export interface ReaddirOptions {
  encoding?: EncodingOption;
  withFileTypes?: boolean;
  recursive?: boolean;
}

/** An open file, as Node's FileHandle so far as it applies. */
export interface WorkspaceFileHandle extends AsyncDisposable {
  readonly fd: number;
  read(
    buffer: NodeJS.ArrayBufferView,
    offset?: number,
    length?: number,
    position?: number | null,
  ): Promise<{ bytesRead: number; buffer: NodeJS.ArrayBufferView }>;
  write(
    data: Data,
    offsetOrPosition?: number | null,
    lengthOrEncoding?: number | BufferEncoding | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: Data }>;
  readFile(options?: ReadOptions | EncodingOption): Promise<Buffer | string>;
  writeFile(data: Data, options?: WriteOptions | BufferEncoding | null): Promise<void>;
  appendFile(data: Data, options?: WriteOptions | BufferEncoding | null): Promise<void>;
  stat(options?: { bigint?: false }): Promise<Stats>;
  stat(options: { bigint: true }): Promise<BigIntStats>;
  truncate(length?: number): Promise<void>;
  chmod(mode: number): Promise<void>;
  chown(uid: number, gid: number): Promise<void>;
  utimes(atime: TimeArgument, mtime: TimeArgument): Promise<void>;
  sync(): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The operations, each with its return type. The promise form has this name, the sync form ends in
 * Sync.
 */
export interface FsOperations {
  readFile(path: PathArgument, options?: ReadOptions | EncodingOption): Buffer | string;
  writeFile(path: PathArgument, data: Data, options?: WriteOptions | BufferEncoding | null): void;
  appendFile(path: PathArgument, data: Data, options?: WriteOptions | BufferEncoding | null): void;
  readdir(
    path: PathArgument,
    options?: ReaddirOptions | EncodingOption,
  ): string[] | Buffer[] | Dirent[];
  stat(
    path: PathArgument,
    options?: { bigint?: boolean; throwIfNoEntry?: boolean },
  ): Stats | BigIntStats;
  lstat(
    path: PathArgument,
    options?: { bigint?: boolean; throwIfNoEntry?: boolean },
  ): Stats | BigIntStats;
  statfs(path: PathArgument): StatsFs;
  access(path: PathArgument, mode?: number): void;
  mkdir(path: PathArgument, options?: MakeDirectoryOptions | number | null): string | undefined;
  mkdtemp(prefix: string): string;
  rmdir(path: PathArgument): void;
  rm(path: PathArgument, options?: RmOptions): void;
  unlink(path: PathArgument): void;
  rename(from: PathArgument, to: PathArgument): void;
  link(existing: PathArgument, path: PathArgument): void;
  symlink(target: PathArgument, path: PathArgument, type?: string | null): void;
  readlink(
    path: PathArgument,
    options?: { encoding?: EncodingOption } | EncodingOption,
  ): string | Buffer;
  realpath(
    path: PathArgument,
    options?: { encoding?: EncodingOption } | EncodingOption,
  ): string | Buffer;
  chmod(path: PathArgument, mode: number | string): void;
  chown(path: PathArgument, uid: number, gid: number): void;
  lchown(path: PathArgument, uid: number, gid: number): void;
  utimes(path: PathArgument, atime: TimeArgument, mtime: TimeArgument): void;
  lutimes(path: PathArgument, atime: TimeArgument, mtime: TimeArgument): void;
  truncate(path: PathArgument, length?: number): void;
  copyFile(from: PathArgument, to: PathArgument, mode?: number): void;
  cp(
    from: PathArgument,
    to: PathArgument,
    options?: { recursive?: boolean; force?: boolean },
  ): void;
  /** Beyond Node: mknod(2) for fifos, sockets and (as root) devices; extended attributes. */
  mknod(path: PathArgument, mode: number, rdev?: number): void;
  getxattr(path: PathArgument, name: string): Buffer;
  setxattr(
    path: PathArgument,
    name: string,
    value: Data,
    flags?: { create?: boolean; replace?: boolean },
  ): void;
  listxattr(path: PathArgument): string[];
  removexattr(path: PathArgument, name: string): void;
}

/** Every one of them, for who passes calls on: all take a path, and no open file is needed. */
export const FS_OPERATIONS = [
  "readFile", "writeFile", "appendFile", "readdir", "stat", "lstat", "statfs", "access", "mkdir", "mkdtemp", "rmdir", "rm",
  "unlink", "rename", "link", "symlink", "readlink", "realpath", "chmod", "chown", "lchown", "utimes", "lutimes", "truncate",
  "copyFile", "cp", "mknod", "getxattr", "setxattr", "listxattr", "removexattr",
] as const satisfies readonly (keyof FsOperations)[]; // prettier-ignore

type Promised<F> = F extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : never;
type Operation = keyof FsOperations;

/** The overloads that make the common calls come out typed. */
interface TypedReads {
  readFile(
    path: PathArgument,
    options: BufferEncoding | { encoding: BufferEncoding; flag?: string },
  ): Promise<string>;
  readFile(
    path: PathArgument,
    options?: { encoding?: null; flag?: string } | null,
  ): Promise<Buffer>;
  readdir(
    path: PathArgument,
    options?: { encoding?: BufferEncoding; recursive?: boolean } | BufferEncoding,
  ): Promise<string[]>;
  readdir(path: PathArgument, options: "buffer" | { encoding: "buffer" }): Promise<Buffer[]>;
  readdir(
    path: PathArgument,
    options: { withFileTypes: true; recursive?: boolean },
  ): Promise<Dirent[]>;
  stat(path: PathArgument, options?: { bigint?: false }): Promise<Stats>;
  stat(path: PathArgument, options: { bigint: true }): Promise<BigIntStats>;
  lstat(path: PathArgument, options?: { bigint?: false }): Promise<Stats>;
  lstat(path: PathArgument, options: { bigint: true }): Promise<BigIntStats>;
  readFileSync(
    path: PathArgument,
    options: BufferEncoding | { encoding: BufferEncoding; flag?: string },
  ): string;
  readFileSync(path: PathArgument, options?: { encoding?: null; flag?: string } | null): Buffer;
  readdirSync(
    path: PathArgument,
    options?: { encoding?: BufferEncoding; recursive?: boolean } | BufferEncoding,
  ): string[];
  readdirSync(path: PathArgument, options: "buffer" | { encoding: "buffer" }): Buffer[];
  readdirSync(path: PathArgument, options: { withFileTypes: true; recursive?: boolean }): Dirent[];
  statSync(path: PathArgument, options?: { bigint?: false }): Stats;
  statSync(path: PathArgument, options: { bigint: true }): BigIntStats;
  lstatSync(path: PathArgument, options?: { bigint?: false }): Stats;
  lstatSync(path: PathArgument, options: { bigint: true }): BigIntStats;
}
type Overloaded = "readFile" | "readdir" | "stat" | "lstat";

export type WorkspaceFs = TypedReads & {
  [K in Exclude<Operation, Overloaded>]: Promised<FsOperations[K]>;
} & {
  [K in Exclude<Operation, Overloaded> as `${K}Sync`]: FsOperations[K];
} & {
  open(path: PathArgument, flags?: string | number, mode?: number): Promise<WorkspaceFileHandle>;
  existsSync(path: PathArgument): boolean;
};
