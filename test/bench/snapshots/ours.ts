// What a workspace takes for snapshots, restores and diffs: a workspace of this process, which the
// daemon uses in the same way, with its store on the disk, mounted, every file looked up.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";

import { openSqliteReader } from "@devdev/store";
import { Workspace } from "@devdev/workspace";

import { fsyncMs, writeRate } from "./disk.ts";
import { type Figure, Figures, quantile } from "./figure.ts";
import { lookUp } from "./freezes.ts";
import { stolenMs } from "./stolen.ts";
import { bytes, change, files, fill, type Place } from "./workload.ts";

/** How many blocks a store has, read beside its own threads. */
function blocksOf(dataDir: string): number {
  const reader = openSqliteReader(join(dataDir, "store"));
  try {
    let count = 0;
    for (let from: number | undefined = 0; from !== undefined;) {
      const { objects, next } = reader.blocks.scan(from, 4096);
      count += objects.length;
      from = next;
    }
    return count;
  } finally {
    reader.close();
  }
}

class Run {
  readonly figures = new Figures();
  readonly #place: Place;
  readonly #dataDir: string;
  readonly #ws: Workspace;
  readonly #delay = monitorEventLoopDelay({ resolution: 1 });

  constructor(place: Place, dataDir: string, ws: Workspace) {
    this.#place = place;
    this.#dataDir = dataDir;
    this.#ws = ws;
  }

  async all(): Promise<void> {
    const { load, directory } = this.#place;
    const ws = this.#ws;
    this.figures.note(
      "this disk: written in a row, then synced",
      writeRate(directory, bytes(load)),
      {
        unit: "MB/s",
      },
    );
    fill(ws.fs, "", load);
    const first = await this.#watched(() => ws.snapshot());
    const rate = bytes(load) / 1e3 / first.durationMs;
    this.figures.note("first snapshot", rate, { unit: "MB/s", limit: 300 });
    const mountPoint = join(directory, "mounted");
    mkdirSync(mountPoint);
    await ws.mount(mountPoint);
    await lookUp(mountPoint);
    await this.#few(first.id);
    await this.#many(first.id);
    await this.#oneByte();
    await ws.unmount({ force: true });
  }

  async #watched<T>(work: () => Promise<T>): Promise<T> {
    const before = stolenMs();
    this.#delay.reset();
    this.#delay.enable();
    const result = await work();
    this.#delay.disable();
    const [held, step] = [this.#delay.max / 1e6, "longest time that the event loop was held"];
    const asked = { limit: 20, judged: "worst" } as const;
    this.figures.note(step, held, asked);
    // A CPU that the host takes away for a while holds up whatever runs on it.
    if (stolenMs() === before) {
      this.figures.note(`${step} on CPUs of its own`, held, asked);
    }
    return result;
  }

  async #few(first: string): Promise<void> {
    const { load, rounds, directory } = this.#place;
    const [ws, { figures }] = [this.#ws, this];
    const fsync = quantile(fsyncMs(directory), 0.5);
    figures.note("this disk: fsync after 64 KiB", fsync);
    let base = first;
    for (let round = 0; round < rounds * 3; round++) {
      change(ws.fs, "", load, 10);
      const taken = await this.#watched(() => ws.snapshot());
      figures.note("snapshot, 10 files changed", taken.durationMs, { limit: 15 + 2 * fsync });
      const again = await this.#watched(() => ws.snapshot());
      figures.note("snapshot, nothing changed", again.durationMs);
      const started = performance.now();
      await ws.diff(base, taken.id);
      figures.note("diff of 10 files", performance.now() - started);
      const { durationMs } = await this.#watched(() => ws.restore(base));
      figures.note("restore, 10 files differ", durationMs, { limit: 10 });
      base = first;
    }
  }

  async #many(first: string): Promise<void> {
    const { load, rounds } = this.#place;
    const many = Math.min(20_000, files(load));
    for (let round = 0; round < rounds; round++) {
      change(this.#ws.fs, "", load, many);
      // What the state before needs is stored before: by the checkpoint that is on its way anyway.
      await this.#ws.snapshot();
      const { durationMs } = await this.#watched(() => this.#ws.restore(first));
      const step = `restore, ${many.toLocaleString("en")} files differ`;
      this.figures.note(step, durationMs, { limit: 300 });
    }
  }

  async #oneByte(): Promise<void> {
    const ws = this.#ws;
    ws.fs.writeFileSync("/large", Buffer.alloc(50 << 20, 7));
    await using handle = await ws.fs.open("/large", "r+");
    for (let at = 0; at < 50 << 20; at += 65_536) {
      await handle.write(Buffer.from(String(at)), 0, undefined, at);
    }
    await ws.snapshot();
    const before = blocksOf(this.#dataDir);
    await handle.write(Buffer.from([1]), 0, 1, 25 << 20);
    const { durationMs } = await ws.snapshot();
    this.figures.note("snapshot, one byte of 50 MiB changed", durationMs);
    const added = blocksOf(this.#dataDir) - before;
    this.figures.note("stored for one byte of 50 MiB", added, { unit: "blocks", limit: 1 });
  }
}

/** Snapshots, restores and diffs of a workspace in a store. */
export async function storeFigures(place: Place): Promise<Figure[]> {
  const dataDir = join(place.directory, "data");
  await using ws = await Workspace.create({ name: "bench", dataDir });
  const run = new Run(place, dataDir, ws);
  await run.all();
  return run.figures.all;
}
