// The tree that snapshots are measured on, and the changes between them: many small files of bytes
// that do not compress, so that what is stored is what there is.

import { randomFillSync } from "node:crypto";

export interface Workload {
  directories: number;
  filesEach: number;
  fileBytes: number;
}

/** 100,000 files, 1 GiB. */
export const FULL: Workload = { directories: 1000, filesEach: 100, fileBytes: 10_737 };
export const QUICK: Workload = { directories: 50, filesEach: 100, fileBytes: 10_737 };

export interface Place {
  /** On the disk that is measured. */
  directory: string;
  load: Workload;
  rounds: number;
}

/** As much of a file system as is needed here. */
export interface Target {
  mkdirSync(path: string): unknown;
  writeFileSync(path: string, data: Uint8Array): unknown;
}

const pool = randomFillSync(Buffer.alloc(8 << 20));
let written = 0;

/** For one file at a time: what is thrown away would be collected while something is measured. */
const data = Buffer.alloc(1 << 20);

/** Bytes that no file had before, until the next call. */
function fresh(bytes: number): Uint8Array {
  const from = written % (pool.length - bytes);
  pool.copy(data, 0, from, from + bytes);
  data.writeDoubleLE(++written, 0);
  return data.subarray(0, bytes);
}

export const directory = (root: string, n: number): string => `${root}/d${n}`;

export function path(root: string, { filesEach }: Workload, n: number): string {
  return `${directory(root, Math.floor(n / filesEach))}/f${n % filesEach}`;
}

export const files = ({ directories, filesEach }: Workload): number => directories * filesEach;
export const bytes = (load: Workload): number => files(load) * load.fileBytes;

export function fill(to: Target, root: string, load: Workload): void {
  for (let d = 0; d < load.directories; d++) to.mkdirSync(directory(root, d));
  for (let n = 0; n < files(load); n++) {
    to.writeFileSync(path(root, load, n), fresh(load.fileBytes));
  }
}

/** Writes `count` of the files anew, far from each other. */
export function change(to: Target, root: string, load: Workload, count: number): void {
  const step = Math.max(1, Math.floor(files(load) / count));
  for (let n = 0; n < count; n++) {
    to.writeFileSync(path(root, load, (n * step) % files(load)), fresh(load.fileBytes));
  }
}
