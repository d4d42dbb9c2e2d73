// The pause of a freeze while others write, and what comes before it: of an engine that is mounted,
// every file looked up.

import { once } from "node:events";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { Vfs } from "@devdev/vfs";

import { must } from "../../harness/run.ts";
import { type Figure, Figures, quantile } from "./figure.ts";
import { fill, type Place, type Workload } from "./workload.ts";

const EXEC = { stdio: "ignore" } as const;

/** Has the kernel know every file. */
export async function lookUp(mountPoint: string): Promise<void> {
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

/** Milliseconds that this thread was ready to run and had no processor; 0 where nobody says so. */
function waitedMs(): number {
  try {
    const [, waited] = readFileSync("/proc/thread-self/schedstat", "latin1").split(" ");
    return Number(waited) / 1e6;
  } catch {
    return 0;
  }
}

async function pauses(vfs: Vfs, count: number, figures: Figures): Promise<void> {
  const [paused, own, calls]: [number[], number[], number[]] = [[], [], []];
  for (let n = 0; n < count; n++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const before = waitedMs();
    const started = performance.now();
    using tree = vfs.freeze();
    calls.push(performance.now() - started);
    const pause = tree.pauseNs / 1e6;
    paused.push(pause);
    own.push(Math.max(0, pause - (waitedMs() - before)));
  }
  figures.note("pause, four writers: median", quantile(paused, 0.5));
  figures.note("pause, four writers: p99", quantile(paused, 0.99), { limit: 1 });
  figures.note("pause without waiting for a processor: p99", quantile(own, 0.99));
  figures.note("freeze with its attempts, four writers: p99", quantile(calls, 0.99));
}

export async function freezeFigures({ directory, load, rounds }: Place): Promise<Figure[]> {
  using vfs = Vfs.create();
  fill(vfs.fs, "", load);
  const mountPoint = join(directory, "freeze");
  mkdirSync(mountPoint);
  await vfs.mount(mountPoint);
  const figures = new Figures();
  try {
    await lookUp(mountPoint);
    const others = idle(200);
    const writing = writers(mountPoint, load, 4);
    await pauses(vfs, rounds * 100, figures);
    await ended(writing);
    for (let n = 0; n < rounds * 20; n++) {
      const started = performance.now();
      await vfs.flush();
      vfs.freeze().dispose();
      const step = "start to frozen, all looked up, 200 other processes";
      figures.note(step, performance.now() - started, { limit: 10 });
    }
    await ended(others);
    return figures.all;
  } finally {
    await vfs.hostMount?.unmount({ force: true });
  }
}
