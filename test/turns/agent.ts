// agent.ts MOUNT PID LOAD: works in a mounted workspace as a build does, command by command, each a
// turn, then takes snapshots. Says on stdout, as JSON, what the daemon of that pid takes in the end
// and how long the first and the last of them took. A process of its own: it may be a user's.

import { randomFillSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RemoteWorkspace } from "@devdev/client";
import type { Load, Steps, Work } from "./run.ts";

const [mountPoint = "", pid = "", loadText = ""] = process.argv.slice(2);
const load = JSON.parse(loadText) as Load;
/** The daemon gives memory back when it rests. */
const REST_MS = 3500;
const EACH = 100;
/** So many at the beginning are compared with as many at the end. */
const COMPARED = 50;
const KEPT_BUILDS = 3;

/** One command of a build: changes files far from each other, makes some, removes older ones. */
const BUILD = `
import os, shutil, sys
turn, files, changed, size = map(int, sys.argv[1:])
for n in range(changed):
    at = (turn * changed + n * 401) % files
    with open(f"d{at // ${EACH}}/f{at % ${EACH}}", "wb") as file: file.write(os.urandom(size))
os.makedirs(f"build/{turn}")
for n in range(10):
    with open(f"build/{turn}/o{n}", "wb") as file: file.write(os.urandom(size))
shutil.rmtree(f"build/{turn - ${KEPT_BUILDS}}", ignore_errors=True)
`;

const pathOf = (n: number): string => join(mountPoint, `d${Math.floor(n / EACH)}`, `f${n % EACH}`);
const fresh = (): Buffer => randomFillSync(Buffer.alloc(load.fileBytes));

async function residentMiB(): Promise<number> {
  await sleep(REST_MS);
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function compared(times: readonly number[]): Steps["turn"] {
  const count = Math.min(COMPARED, times.length >> 1);
  return [median(times.slice(0, count)), median(times.slice(-count))];
}

const workspace = await RemoteWorkspace.open(mountPoint);

/** What the rest takes, with as many snapshots as there are now; the median of some. */
async function rest(): Promise<Record<"log" | "diff" | "undo" | "redo", number>> {
  const all: Record<"log" | "diff" | "undo" | "redo", number[]> = {
    log: [],
    diff: [],
    undo: [],
    redo: [],
  };
  for (let n = 0; n < 5; n++) {
    const [before, last] = (await workspace.snapshots()).slice(-2);
    all.log.push(await timed(() => workspace.log({ limit: 20 })));
    all.diff.push(await timed(() => workspace.diff(before?.id, last?.id)));
    all.undo.push(await timed(() => workspace.undo()));
    all.redo.push(await timed(() => workspace.redo()));
  }
  return {
    log: median(all.log),
    diff: median(all.diff),
    undo: median(all.undo),
    redo: median(all.redo),
  };
}

try {
  for (let n = 0; n < load.files; n++) {
    if (n % EACH === 0) mkdirSync(join(mountPoint, `d${n / EACH}`));
    writeFileSync(pathOf(n), fresh());
  }
  await workspace.snapshot({ name: "first" });
  const filledMiB = await residentMiB();
  const turns: number[] = [];
  for (let turn = 0; turn < load.turns; turn++) {
    const args = [turn, load.files, load.changed, load.fileBytes].map(String);
    const run = () => workspace.exec("python3", ["-c", BUILD, ...args], { snapshot: true });
    turns.push(
      await timed(async () => {
        const { exitCode, output } = await run();
        if (exitCode !== 0) throw new Error(`turn ${turn}: ${output}`);
      }),
    );
  }
  const turnsMiB = await residentMiB();
  const early = await rest();
  const snapshots: number[] = [];
  for (let n = 0; n < load.snapshots; n++) {
    for (let k = 0; k < 10; k++) writeFileSync(pathOf((n * 10 + k * 37) % load.files), fresh());
    snapshots.push(await timed(() => workspace.snapshot()));
  }
  const late = await rest();
  const steps: Steps = {
    turn: compared(turns),
    snapshot: compared(snapshots),
    log: [early.log, late.log],
    diff: [early.diff, late.diff],
    undo: [early.undo, late.undo],
    redo: [early.redo, late.redo],
  };
  const work: Work = { filledMiB, turnsMiB, snapshotsMiB: await residentMiB(), steps };
  console.log(JSON.stringify(work));
} finally {
  await workspace.close();
}
