// The numbers of the addon as Node's Stats, BigIntStats and StatsFs.

import type * as fs from "node:fs";
import { FileStats } from "@devdev/protocol";

/** Order of the numbers that the addon packs (native/addon/src/values.rs). */
const AT = { mode: 0, nlink: 1, uid: 2, gid: 3, rdev: 4, ino: 5, size: 7, blocks: 9 } as const;
const TIMES = { atime: 11, mtime: 13, ctime: 15, birthtime: 17 } as const;

/** How many they are. */
export const STAT_NUMBERS = 19;

const BLOCK_SIZE = 4096;
/** What statfs(2) reports for a FUSE file system. */
const FUSE_SUPER_MAGIC = 0x65735546;

function at(numbers: Float64Array, index: number): number {
  return numbers[index] ?? 0;
}
function wide(numbers: Float64Array, index: number): bigint {
  return (BigInt(at(numbers, index)) << 32n) | BigInt(at(numbers, index + 1));
}
function whole(numbers: Float64Array, index: number): number {
  return at(numbers, index) * 2 ** 32 + at(numbers, index + 1);
}
function ms(numbers: Float64Array, index: number): number {
  return at(numbers, index) * 1000 + at(numbers, index + 1) / 1e6;
}
function ns(numbers: Float64Array, index: number): bigint {
  return BigInt(at(numbers, index)) * 1_000_000_000n + BigInt(at(numbers, index + 1));
}
/** Milliseconds, rounded towards the past as the division of seconds and nanoseconds does. */
function wholeMs(numbers: Float64Array, index: number): bigint {
  return BigInt(at(numbers, index)) * 1000n + BigInt(Math.trunc(at(numbers, index + 1) / 1e6));
}

class Stats extends FileStats {
  readonly dev: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly blksize = BLOCK_SIZE;
  readonly ino: number;
  readonly size: number;
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;

  constructor(numbers: Float64Array, dev: number) {
    super();
    this.dev = dev;
    this.mode = at(numbers, AT.mode);
    this.nlink = at(numbers, AT.nlink);
    this.uid = at(numbers, AT.uid);
    this.gid = at(numbers, AT.gid);
    this.rdev = at(numbers, AT.rdev);
    this.ino = whole(numbers, AT.ino);
    this.size = whole(numbers, AT.size);
    this.blocks = whole(numbers, AT.blocks);
    this.atimeMs = ms(numbers, TIMES.atime);
    this.mtimeMs = ms(numbers, TIMES.mtime);
    this.ctimeMs = ms(numbers, TIMES.ctime);
    this.birthtimeMs = ms(numbers, TIMES.birthtime);
  }
}

class BigIntStats extends FileStats {
  readonly dev: bigint;
  readonly mode: bigint;
  readonly nlink: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly rdev: bigint;
  readonly blksize = BigInt(BLOCK_SIZE);
  readonly ino: bigint;
  readonly size: bigint;
  readonly blocks: bigint;
  readonly atimeMs: bigint;
  readonly mtimeMs: bigint;
  readonly ctimeMs: bigint;
  readonly birthtimeMs: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;

  constructor(numbers: Float64Array, dev: number) {
    super();
    this.dev = BigInt(dev);
    this.mode = BigInt(at(numbers, AT.mode));
    this.nlink = BigInt(at(numbers, AT.nlink));
    this.uid = BigInt(at(numbers, AT.uid));
    this.gid = BigInt(at(numbers, AT.gid));
    this.rdev = BigInt(at(numbers, AT.rdev));
    this.ino = wide(numbers, AT.ino);
    this.size = wide(numbers, AT.size);
    this.blocks = wide(numbers, AT.blocks);
    this.atimeMs = wholeMs(numbers, TIMES.atime);
    this.mtimeMs = wholeMs(numbers, TIMES.mtime);
    this.ctimeMs = wholeMs(numbers, TIMES.ctime);
    this.birthtimeMs = wholeMs(numbers, TIMES.birthtime);
    this.atimeNs = ns(numbers, TIMES.atime);
    this.mtimeNs = ns(numbers, TIMES.mtime);
    this.ctimeNs = ns(numbers, TIMES.ctime);
    this.birthtimeNs = ns(numbers, TIMES.birthtime);
  }
}

/** Stats of what the addon packed. `dev` tells engines of one process apart. */
export function statsOf(
  numbers: Float64Array,
  dev: number,
  bigint: boolean,
): fs.Stats | fs.BigIntStats {
  return bigint ? new BigIntStats(numbers, dev) : new Stats(numbers, dev);
}

/** StatsFs of (blocks, free blocks, inodes, free inodes). */
export function statsFsOf([blocks = 0, bfree = 0, files = 0, ffree = 0]: number[]): fs.StatsFs {
  const bavail = bfree;
  const stats = { type: FUSE_SUPER_MAGIC, bsize: BLOCK_SIZE, blocks, bfree, bavail, files, ffree };
  return stats as fs.StatsFs;
}
