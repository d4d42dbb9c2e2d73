// Tree pages as docs/FORMAT.md describes them, read and written outside the engine: which takes a
// tree whole or not at all, while this is for trees of which parts are gone. Records of inodes are
// handed on as they are.

import { zstdDecompressSync } from "node:zlib";

import type { StoredObject } from "@devdev/store";

import { PageReader as Reader } from "./page-reader.js";

const VERSION = 1;
const ID = 32;
const CALLER_FLAG = 16;
const [S_IFMT, S_IFDIR, S_IFREG, S_IFLNK] = [0o170000, 0o040000, 0o100000, 0o120000];
const DEVICES: ReadonlySet<number> = new Set([0o020000, 0o060000]);

export interface Entry {
  discriminator: number;
  name: Buffer;
  ino: number;
  type: number;
}

/** A chunk: its slot in its segment, what stands between that and the hash, the hash. */
export interface ChunkRecord {
  slot: number;
  middle: Buffer;
  hash: Buffer;
}

export interface InodeRecord {
  slot: number;
  /** Without the flag that says where the content is. */
  flags: number;
  mode: number;
  /** What follows the flags. */
  rest: Buffer;
  nlink: number;
  parent: number;
  size: number;
  entries?: Entry[];
  entryPages?: Buffer[];
  /** Of one segment, within the inode. */
  chunks?: { segment: number; list: ChunkRecord[] };
  segments?: Array<{ index: number; page: Buffer }>;
}

export type TreePage = {
  kind: "T";
  nextIno: number;
  bytes: number;
  inodes: number;
  height: number;
  root: Buffer;
};
export type Page =
  | TreePage
  | { kind: "N"; children: Array<[slot: number, id: Buffer]> }
  | { kind: "L"; inodes: InodeRecord[] }
  | { kind: "D"; entries: Entry[] }
  | { kind: "S"; chunks: ChunkRecord[] };

export const isDirectory = (mode: number): boolean => (mode & S_IFMT) === S_IFDIR;
export const isFile = (mode: number): boolean => (mode & S_IFMT) === S_IFREG;

export function unpackPage({ encoding, rawLength, data }: StoredObject): Buffer {
  if (encoding === 0) return Buffer.from(data);
  return zstdDecompressSync(data, { maxOutputLength: Math.max(1, rawLength) });
}

/** A page whose bytes are known to be those of its id. */
export function decodePage(bytes: Buffer): Page {
  const reader = new Reader(bytes);
  const kind = String.fromCharCode(reader.byte());
  if (reader.byte() !== VERSION) throw new RangeError("a page's version is not known here");
  switch (kind) {
    case "T":
      return {
        kind,
        nextIno: reader.number(),
        bytes: reader.number(),
        inodes: reader.number(),
        height: reader.number(),
        root: reader.take(ID),
      };
    case "N": {
      const bitmap = reader.take(8).readBigUInt64LE();
      const slots = Array.from({ length: 64 }, (_, n) => n).filter(
        (n) => (bitmap >> BigInt(n)) & 1n,
      );
      return { kind, children: slots.map((slot) => [slot, reader.take(ID)]) };
    }
    case "L":
      return { kind, inodes: reader.many(reader.number(), () => takeInode(reader)) };
    case "D":
      return { kind, entries: reader.many(reader.number(), () => takeEntry(reader)) };
    case "S":
      return { kind, chunks: reader.many(reader.number(), () => takeChunk(reader)) };
    default:
      throw new RangeError("it is not a tree page");
  }
}

function takeInode(reader: Reader): InodeRecord {
  const slot = reader.byte();
  const flags = reader.byte();
  const start = reader.at;
  const mode = skipRecord(reader, flags);
  const rest = reader.since(start);
  const [nlink, parent] = [reader.number(), reader.number()];
  const size = isFile(mode) ? reader.number() : 0;
  const inode = { slot, flags: flags & ~CALLER_FLAG, mode, rest, nlink, parent, size };
  const paged = (flags & CALLER_FLAG) !== 0;
  if (isDirectory(mode)) {
    const count = reader.number();
    if (paged) return { ...inode, entryPages: reader.many(count, () => reader.take(ID)) };
    return { ...inode, entries: reader.many(count, () => takeEntry(reader)) };
  }
  if (!isFile(mode)) return inode;
  const count = reader.number();
  if (paged) {
    const segment = (): { index: number; page: Buffer } => ({
      index: reader.number(),
      page: reader.take(ID),
    });
    return { ...inode, segments: reader.many(count, segment) };
  }
  const segment = count === 0 ? 0 : reader.number();
  return { ...inode, chunks: { segment, list: reader.many(count, () => takeChunk(reader)) } };
}

/** Goes behind a record; gives its mode. */
function skipRecord(reader: Reader, flags: number): number {
  const mode = reader.number();
  reader.number();
  reader.number();
  if (DEVICES.has(mode & S_IFMT)) reader.number();
  const times = 1 + [2, 4, 8].filter((bit) => (flags & bit) === 0).length;
  reader.many(2 * times, () => reader.number());
  if (flags & 1) reader.many(2 * reader.number(), () => reader.string());
  if ((mode & S_IFMT) === S_IFLNK) reader.string();
  return mode;
}

function takeEntry(reader: Reader): Entry {
  return {
    discriminator: reader.byte(),
    name: reader.string(),
    ino: reader.number(),
    type: reader.byte(),
  };
}

function takeChunk(reader: Reader): ChunkRecord {
  const slot = reader.byte();
  const start = reader.at;
  reader.number();
  reader.take(2);
  return { slot, middle: reader.since(start), hash: reader.take(ID) };
}

function number(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  return Buffer.from([...bytes, left]);
}

const head = (kind: string): Buffer => Buffer.from([kind.codePointAt(0) ?? 0, VERSION]);

export function encodeTree(page: Omit<TreePage, "kind">): Buffer {
  const numbers = [page.nextIno, page.bytes, page.inodes, page.height].map(number);
  return Buffer.concat([head("T"), ...numbers, page.root]);
}

export function encodeNode(children: Array<[slot: number, id: Buffer]>): Buffer {
  const bitmap = Buffer.alloc(8);
  bitmap.writeBigUInt64LE(children.reduce((map, [slot]) => map | (1n << BigInt(slot)), 0n));
  return Buffer.concat([head("N"), bitmap, ...children.map(([, id]) => id)]);
}

export function encodeEntries(entries: Entry[]): Buffer {
  return Buffer.concat([head("D"), number(entries.length), ...entries.map(entryBytes)]);
}

export function encodeSegment(chunks: ChunkRecord[]): Buffer {
  return Buffer.concat([head("S"), number(chunks.length), ...chunks.map(chunkBytes)]);
}

export function encodeLeaf(inodes: InodeRecord[]): Buffer {
  return Buffer.concat([head("L"), number(inodes.length), ...inodes.map(inodeBytes)]);
}

function entryBytes({ discriminator, name, ino, type }: Entry): Buffer {
  const front = [Buffer.from([discriminator]), number(name.length), name];
  return Buffer.concat([...front, number(ino), Buffer.from([type])]);
}

function chunkBytes({ slot, middle, hash }: ChunkRecord): Buffer {
  return Buffer.concat([Buffer.from([slot]), middle, hash]);
}

function inodeBytes(inode: InodeRecord): Buffer {
  const paged = inode.entryPages !== undefined || inode.segments !== undefined;
  const flags = Buffer.from([inode.slot, inode.flags | (paged ? CALLER_FLAG : 0)]);
  const size = isFile(inode.mode) ? [number(inode.size)] : [];
  const front = [flags, inode.rest, number(inode.nlink), number(inode.parent), ...size];
  return Buffer.concat([...front, ...contentBytes(inode)]);
}

function contentBytes({ entries, entryPages, chunks, segments }: InodeRecord): Buffer[] {
  if (entryPages) return [number(entryPages.length), ...entryPages];
  if (entries) return [number(entries.length), ...entries.map(entryBytes)];
  if (segments) {
    const all = segments.flatMap(({ index, page }) => [number(index), page]);
    return [number(segments.length), ...all];
  }
  if (!chunks) return [];
  const { segment, list } = chunks;
  const where = list.length === 0 ? [] : [number(segment)];
  return [number(list.length), ...where, ...list.map(chunkBytes)];
}
