// What is on the two sides of an entry of a difference, read when a patch shows it: from a frozen
// tree, or from a directory of the host.

import { constants } from "node:fs";
import { open, readlink } from "node:fs/promises";

import { type BytePath, type DiffEntry, type FileKind, pathBytes } from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";

/** Larger files are not compared by lines, and not read as a whole: nobody reads their patch. */
export const LARGEST_TEXT = 8 << 20;
/** git looks at as many bytes for a NUL. */
const PROBE_BYTES = 8000;
const PIECE = 4 << 20;
export const LINK_MODE = "120000";

/** Where content is read from. */
export type Reader = Pick<Tree, "readFile" | "readRange" | "readlink">;

/** A file or symlink; nothing else has a place in a patch. */
export interface Side {
  path: BytePath;
  mode: string;
  size: number;
  /** All of it, unless that is too much. */
  content: Buffer | undefined;
  pieces(): AsyncGenerator<Buffer>;
}

export interface Pair {
  entry: DiffEntry;
  before: Side | undefined;
  after: Side | undefined;
}

/** Directories and special files have nothing that a patch could say. */
function isShown(kind: FileKind): boolean {
  return kind === "file" || kind === "symlink";
}

/** Undefined where there is nothing for a patch: neither is a new owner or time. */
export async function readPair(
  entry: DiffEntry,
  before: Reader,
  after: Reader,
): Promise<Pair | undefined> {
  const { kind, path, oldPath = path, fileKind, oldFileKind = fileKind } = entry;
  const shown = ["content", "mode", "target", "type"] as const;
  if (kind === "modified" && !entry.changed.some((what) => shown.some((s) => s === what))) {
    return undefined;
  }
  const { oldMode, newMode, oldSize, newSize } = entry;
  const [old, fresh] = [kind !== "added" && isShown(oldFileKind), kind !== "removed"];
  const sides = {
    before: old ? await readSide(before, oldPath, oldFileKind, oldMode, oldSize) : undefined,
    after:
      fresh && isShown(fileKind)
        ? await readSide(after, path, fileKind, newMode, newSize)
        : undefined,
  };
  return sides.before || sides.after ? { entry, ...sides } : undefined;
}

async function readSide(
  reader: Reader,
  path: BytePath,
  kind: FileKind,
  mode = 0o644,
  size = 0,
): Promise<Side> {
  const bytes = pathBytes(path);
  if (kind === "symlink") {
    const content = await reader.readlink(bytes);
    return { path, mode: LINK_MODE, size: content.length, content, pieces: () => once(content) };
  }
  const content = size > LARGEST_TEXT ? undefined : await reader.readFile(bytes);
  return {
    path,
    mode: (mode & 0o100) === 0 ? "100644" : "100755",
    size: content?.length ?? size,
    content,
    pieces: () => (content ? once(content) : piecesOf(reader, bytes, size)),
  };
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

async function* piecesOf(reader: Reader, path: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += PIECE) {
    yield await reader.readRange(path, at, Math.min(PIECE, size - at));
  }
}

export function isBinary(side: Side | undefined): boolean {
  if (!side) return false;
  return side.content?.subarray(0, PROBE_BYTES).includes(0) ?? true;
}

/** The files of a host directory, by their paths in it. Symlinks are never followed. */
export class HostReader implements Reader {
  readonly #root: Buffer;

  constructor(root: string) {
    this.#root = Buffer.from(root);
  }

  #at(path: unknown): Buffer {
    return Buffer.concat([this.#root, path as Buffer]);
  }

  async readFile(path: unknown): Promise<Buffer> {
    await using file = await open(this.#at(path), constants.O_RDONLY | constants.O_NOFOLLOW);
    return await file.readFile();
  }

  async readRange(path: unknown, offset: number, length: number): Promise<Buffer> {
    await using file = await open(this.#at(path), constants.O_RDONLY | constants.O_NOFOLLOW);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  async readlink(path: unknown): Promise<Buffer> {
    return await readlink(this.#at(path), { encoding: "buffer" });
  }
}
