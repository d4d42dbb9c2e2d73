// How far a write-ahead log is written, which its size does not tell: once all of it was copied it
// is written from its beginning again, and stays as long as it was.
//
// Read from the log itself (https://sqlite.org/fileformat2.html, section 4.1), of which SQLite
// holds no lock. Of its index it does: closing any descriptor of that file would let go of the
// locks of the whole process.

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

import type { Database } from "better-sqlite3";

const HEADER_BYTES = 32;
/** What precedes each page in the log. */
const FRAME_HEADER_BYTES = 24;
const SALT_BYTES = 8;
/** Byte offsets in the header of the log, and in that of a frame. */
const PAGE_SIZE = 8;
const SALT = 16;
const FRAME_SALT = 8;

export interface LogPosition {
  /** Another one each time that the log is begun anew; empty when there is none. */
  generation: string;
  /** From the first frame to the last, in bytes. */
  written: number;
}

/** How far the log of an open database is written. */
export function logPosition(db: Database): LogPosition {
  let fd;
  try {
    fd = openSync(`${db.name}-wal`, "r");
  } catch {
    return { generation: "", written: 0 };
  }
  try {
    return positionOf(fd);
  } finally {
    closeSync(fd);
  }
}

/** Bytes of the log's file, 0 when there is none. */
export function logFileBytes(db: Database): number {
  return statSync(`${db.name}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

function positionOf(fd: number): LogPosition {
  const header = Buffer.alloc(HEADER_BYTES);
  const count = readSync(fd, header, 0, HEADER_BYTES, 0);
  if (count < HEADER_BYTES) return { generation: "", written: 0 };
  const salt = header.subarray(SALT, SALT + SALT_BYTES);
  const frame = FRAME_HEADER_BYTES + header.readUInt32BE(PAGE_SIZE);
  const found = Buffer.alloc(SALT_BYTES);
  const isOurs = (index: number): boolean => {
    const at = HEADER_BYTES + index * frame + FRAME_SALT;
    return readSync(fd, found, 0, SALT_BYTES, at) === SALT_BYTES && found.equals(salt);
  };
  // Frames of this generation come first; behind them are those of former ones.
  let [low, high] = [0, Math.floor((fstatSync(fd).size - HEADER_BYTES) / frame)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isOurs(middle)) low = middle + 1;
    else high = middle;
  }
  return { generation: salt.toString("hex"), written: low * frame };
}
