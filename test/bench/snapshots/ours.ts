// What a workspace takes for snapshots, restores and diffs: a workspace of this process, which the
// daemon uses in the same way, with its store on the disk, mounted, every file looked up.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";

import { openSqliteReader } from "@devdev/store";
import { Workspace } from "@devdev/workspace";

import { watchingStolen } from "../stolen.ts";
import { fsyncMs, writeRate } from "./disk.ts";
import { type Figure, Figures, quantile } from "./figure.ts";
import { lookUp } from "./freezes.ts";
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

type Asked = Pick<Figure, "limit" | "judged">;

const HELD: Asked = { limit: 20, judged: "worst" };

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
    const first = await this.#watched(undefined, {}, () => ws.snapshot());
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

  /** Times one step, and how long it held the event loop. */
  async #watched<T extends { durationMs: number }>(
    step: string | undefined,
    asked: Asked,
    work: () => Promise<T>,
  ): Promise<T> {
    this.#delay.reset();
    this.#delay.enable();
    const [result, stolen] = await watchingStolen(work);
    this.#delay.disable();
    const own = stolen === 0;
    this.#note("longest time that the event loop was held", this.#delay.max / 1e6, own, HELD);
    if (step !== undefined) this.#note(step, result.durationMs, own, asked);
    return result;
  }

  /** A CPU that the host takes away for a while holds up whatever runs on it: told apart. */
  #note(step: string, value: number, own: boolean, asked: Asked): void {
    this.figures.note(step, value, asked);
    if (own) this.figures.note(`${step}, on CPUs of its own`, value, asked);
  }

  async #few(first: string): Promise<void> {
    const { load, rounds, directory } = this.#place;
    const [ws, { figures }] = [this.#ws, this];
    const fsync = quantile(fsyncMs(directory), 0.5);
    figures.note("this disk: fsync after 64 KiB", fsync);
    let base = first;
    for (let round = 0; round < rounds * 3; round++) {
      change(ws.fs, "", load, 10);
      const step = "snapshot, 10 files changed";
      const taken = await this.#watched(step, { limit: 15 + 2 * fsync }, () => ws.snapshot());
      await this.#watched("snapshot, nothing changed", {}, () => ws.snapshot());
      const started = performance.now();
      await ws.diff(base, taken.id);
      figures.note("diff of 10 files", performance.now() - started);
      await this.#watched("restore, 10 files differ", { limit: 10 }, () => ws.restore(base));
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
      const step = `restore, ${many.toLocaleString("en")} files differ`;
      await this.#watched(step, { limit: 300 }, () => this.#ws.restore(first));
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
