// What the disk below a store can do at the most, measured beside the store.

import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { randomFillSync } from "node:crypto";
import { join } from "node:path";

/** An fsync after 64 KiB were written: what a durable commit costs on this disk at the least. */
export function fsyncMs(directory: string): number[] {
  const fd = openSync(join(directory, "fsync"), "w");
  const data = Buffer.alloc(65_536, 1);
  const times = Array.from({ length: 20 }, () => {
    writeSync(fd, data);
    const started = performance.now();
    fsyncSync(fd);
    return performance.now() - started;
  });
  closeSync(fd);
  return times;
}

/** MB/s of one file that is written from its beginning to its end, and then synced. */
export function writeRate(directory: string, bytes: number): number {
  const path = join(directory, "sequential");
  const data = randomFillSync(Buffer.alloc(1 << 20));
  const started = performance.now();
  const fd = openSync(path, "w");
  for (let left = bytes; left > 0; left -= data.length) {
    writeSync(fd, data, 0, Math.min(left, data.length));
  }
  fsyncSync(fd);
  const elapsed = performance.now() - started;
  closeSync(fd);
  rmSync(path);
  return bytes / 1e3 / elapsed;
}
