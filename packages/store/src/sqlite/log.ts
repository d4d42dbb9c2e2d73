// How much a write-ahead log holds, which its size does not tell: once all of it was copied it is
// written from its beginning again, and stays as long as it was.
//
// Read from the log's index as it is in memory (https://sqlite.org/walformat.html, section 2.1).

import { closeSync, openSync, readSync, statSync } from "node:fs";

import type { Database } from "better-sqlite3";

/** What precedes each page in the log. */
const FRAME_HEADER_BYTES = 24;
const INDEX_VERSION = 3_007_000;
const HEADER_BYTES = 48;
/** Both copies of the header, and the number of frames that were copied. */
const READ_BYTES = 2 * HEADER_BYTES + 4;

/** Byte offsets; numbers are in the machine's own order, which is little endian wherever we run. */
const VERSION = 0;
const IS_INITIALIZED = 12;
const PAGE_BYTES = 14;
const LAST_FRAME = 16;
const COPIED_FRAMES = 2 * HEADER_BYTES;

export interface LogContent {
  /** From the beginning of the log to its last frame, in bytes. */
  written: number;
  /** Of these, what is not in the database yet. */
  toCopy: number;
}

/** What the log of an open database holds. While it cannot be told: all that its file has. */
export function logContent(db: Database): LogContent {
  const index = Buffer.alloc(READ_BYTES);
  if (!fill(index, `${db.name}-shm`) || !isWhole(index)) {
    const written = logFileBytes(db);
    return { written, toCopy: written };
  }
  const page = index.readUInt16LE(PAGE_BYTES);
  const frame = FRAME_HEADER_BYTES + (page === 1 ? 65_536 : page);
  const last = index.readUInt32LE(LAST_FRAME);
  const copied = Math.min(last, index.readUInt32LE(COPIED_FRAMES));
  return { written: last * frame, toCopy: (last - copied) * frame };
}

/** Bytes of the log's file, 0 when there is none. */
export function logFileBytes(db: Database): number {
  return statSync(`${db.name}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** False where there is no such file, or a shorter one. */
function fill(buffer: Buffer, path: string): boolean {
  let fd;
  try {
    fd = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    return readSync(fd, buffer, 0, buffer.length, 0) === buffer.length;
  } finally {
    closeSync(fd);
  }
}

// Whoever writes the header writes it twice; copies that differ are being written.
function isWhole(index: Buffer): boolean {
  const first = index.subarray(0, HEADER_BYTES);
  return (
    first.equals(index.subarray(HEADER_BYTES, 2 * HEADER_BYTES)) &&
    first.readUInt32LE(VERSION) === INDEX_VERSION &&
    first[IS_INITIALIZED] === 1
  );
}
