// What a workspace takes for snapshots, restores and diffs: a workspace of this process, which the
// daemon uses in the same way, with its store on the disk, mounted, every file looked up.

import { once } from "node:events";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";

import { Vfs } from "@devdev/vfs";
import { Workspace } from "@devdev/workspace";

import { must } from "../../harness/run.ts";
import { bytes, change, files, fill, type Workload } from "./workload.ts";

export interface Figure {
  step: string;
  unit: "ms" | "MB/s" | "chunks";
  values: number[];
  /** What the project asks for: at most so much (of a rate: at least). */
  limit?: number;
}

interface Place {
  /** On the disk that is measured. */
  directory: string;
  load: Workload;
  rounds: number;
}

const EXEC = { stdio: "ignore" } as const;

/** Has the kernel know every file. */
async function lookUp(mountPoint: string): Promise<void> {
  await must(["sh", "-c", `find ${mountPoint} -size +0 | wc -l`], { timeoutMs: 600_000 });
}

/** Programs that write to files of the mount until they are ended. */
function writers(mountPoint: string, load: Workload, count: number): ChildProcess[] {
  const program = `
    const fs = require("node:fs");
    const data = Buffer.alloc(4096, "w");
    for (let n = Number(process.argv[2]); ; n += 7) {
      fs.writeFileSync(process.argv[1] + "/d" + (n % ${load.directories}) + "/f" + (n % ${load.filesEach}), data);
    }`;
  return Array.from({ length: count }, (_, n) =>
    spawn(process.execPath, ["-e", program, mountPoint, String(n)], EXEC),
  );
}

async function ended(children: ChildProcess[]): Promise<void> {
  const gone = children.map((child) => once(child, "exit"));
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(gone);
}

function idle(count: number): ChildProcess[] {
  return Array.from({ length: count }, () => spawn("sleep", ["600"], EXEC));
}

export function quantile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
}

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

/** The pause of a freeze while others write, and what comes before it. */
export async function freezeFigures({ directory, load, rounds }: Place): Promise<Figure[]> {
  using vfs = Vfs.create();
  fill(vfs.fs, "", load);
  const mountPoint = join(directory, "freeze");
  mkdirSync(mountPoint);
  await vfs.mount(mountPoint);
  try {
    await lookUp(mountPoint);
    const others = idle(200);
    const writing = writers(mountPoint, load, 4);
    const pauses: number[] = [];
    const frozen: number[] = [];
    for (let n = 0; n < rounds * 100; n++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      using tree = vfs.freeze();
      pauses.push(tree.pauseNs / 1e6);
    }
    await ended(writing);
    for (let n = 0; n < rounds * 20; n++) {
      const started = performance.now();
      await vfs.flush();
      vfs.freeze().dispose();
      frozen.push(performance.now() - started);
    }
    await ended(others);
    return [
      { step: "pause, four writers: median", unit: "ms", values: [quantile(pauses, 0.5)] },
      { step: "pause, four writers: p99", unit: "ms", values: [quantile(pauses, 0.99)], limit: 1 },
      {
        step: "start to frozen, all looked up, 200 other processes",
        unit: "ms",
        values: frozen,
        limit: 10,
      },
    ];
  } finally {
    await vfs.hostMount?.unmount({ force: true });
  }
}

/** Snapshots, restores and diffs of a workspace in a store. */
export async function storeFigures({ directory, load, rounds }: Place): Promise<Figure[]> {
  const dataDir = join(directory, "data");
  await using ws = await Workspace.create({ name: "bench", dataDir });
  fill(ws.fs, "", load);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const figures = new Map<string, Figure>();
  const note = (step: string, value: number, limit?: number, unit: Figure["unit"] = "ms"): void => {
    const figure = figures.get(step) ?? { step, unit, values: [], ...(limit && { limit }) };
    figure.values.push(value);
    figures.set(step, figure);
  };
  const watched = async <T>(work: () => Promise<T>): Promise<T> => {
    delay.reset();
    delay.enable();
    const result = await work();
    delay.disable();
    note("longest time that the event loop was held", delay.max / 1e6, 20);
    return result;
  };
  const first = await watched(() => ws.snapshot());
  note("first snapshot", bytes(load) / 1e3 / first.durationMs, 300, "MB/s");
  const mountPoint = join(directory, "mounted");
  mkdirSync(mountPoint);
  await ws.mount(mountPoint);
  await lookUp(mountPoint);
  const fsync = quantile(fsyncMs(directory), 0.5);
  note("fsync of this disk, 64 KiB", fsync);
  let base = first.id;
  for (let round = 0; round < rounds * 3; round++) {
    change(ws.fs, "", load, 10);
    const taken = await watched(() => ws.snapshot());
    note("snapshot, 10 files changed", taken.durationMs, 15 + 2 * fsync);
    note("snapshot, nothing changed", (await watched(() => ws.snapshot())).durationMs);
    const started = performance.now();
    await ws.diff(base, taken.id);
    note("diff of 10 files", performance.now() - started);
    note("restore, 10 files differ", (await watched(() => ws.restore(base))).durationMs, 10);
    base = first.id;
  }
  const many = Math.min(20_000, files(load));
  for (let round = 0; round < rounds; round++) {
    change(ws.fs, "", load, many);
    // What the state before needs is stored before: by the checkpoint that is on its way anyway.
    await ws.snapshot();
    note(
      "restore, 20,000 files differ",
      (await watched(() => ws.restore(first.id))).durationMs,
      300,
    );
  }
  const large = Buffer.alloc(50 << 20, 7);
  ws.fs.writeFileSync("/large", large);
  await ws.snapshot();
  await using handle = await ws.fs.open("/large", "r+");
  await handle.write(Buffer.from([1]), 0, 1, 25 << 20);
  const taken = await ws.snapshot();
  note("snapshot, one byte of 50 MiB changed", taken.durationMs);
  await ws.unmount({ force: true });
  return [...figures.values()];
}
