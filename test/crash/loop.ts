// The crash loop: mount, check what the last crash left, work, kill -9 at a random moment, again.
// What must hold: an acknowledged snapshot has its bytes for ever; the live tree is a state that
// existed, no older than a checkpoint promises; the mount point can be used at once.

import type { Devdev } from "../harness/devdev.ts";
import { describe, sleep } from "../harness/run.ts";
import { mix } from "./model.ts";
import { CrashSession, type KnownSnapshot } from "./session.ts";

/** A checkpoint starts within 2 s of the first change; the rest is the store's time. */
const PROMISE_MS = 2000;
const STORE_MS = 2500;
const STORE_MS_PER_MEGABYTE = 60;

/** In what the kill falls. */
export const KINDS = ["write", "snapshot", "restore", "bulk", "stop", "mount"] as const;
type Kind = (typeof KINDS)[number];

export interface Report {
  iterations: number;
  acknowledged: number;
  restored: number;
  kinds: Record<string, number>;
  slowestMountMs: number;
  oldestLossMs: number;
}

interface Left {
  /** Generations the live tree may be of, after the kill. */
  generations: number[];
  /** No work may be missing that was done before this time. */
  durableUntil: number;
}

export class CrashLoop {
  readonly #session: CrashSession;
  readonly #seed: number;
  #draws = 0;
  readonly #known: KnownSnapshot[] = [];
  #left: Left | undefined;
  /** The live tree came back on the way from one generation to the next. */
  #mixed = false;
  readonly report: Report = {
    iterations: 0,
    acknowledged: 0,
    restored: 0,
    kinds: {},
    slowestMountMs: 0,
    oldestLossMs: 0,
  };

  constructor(devdev: Devdev, seed: number) {
    this.#session = new CrashSession(devdev);
    this.#seed = seed;
  }

  #random(below: number): number {
    return mix(this.#seed, this.#draws++) % below;
  }

  /** One life and death of the daemon. */
  async iterate(): Promise<void> {
    const n = this.report.iterations++;
    const kind: Kind = KINDS[this.#random(KINDS.length)]!;
    this.report.kinds[kind] = (this.report.kinds[kind] ?? 0) + 1;
    const session = this.#session;
    try {
      const mountMs = await session.mount();
      this.report.slowestMountMs = Math.max(this.report.slowestMountMs, mountMs);
      const generation = await this.#checkLive();
      await this.#checkOneSnapshot();
      this.#left = await this.#work(kind, n, generation);
      session.stopWriter();
      await session.gone();
      if (n % 10 === 9) await session.checkStore();
    } catch (error) {
      session.stopWriter();
      const where = `iteration ${n} (${kind}), seed ${this.#seed}`;
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The live tree after a remount; returns its generation. */
  async #checkLive(): Promise<number> {
    const verdict = await this.#session.verify();
    const { problems, generation, strict, sequence } = verdict;
    if (problems.length > 0) throw new Error(`the live tree: ${problems.slice(0, 5).join("; ")}`);
    const left = this.#left;
    if (left === undefined) return generation;
    if (!left.generations.includes(generation)) {
      const expected = left.generations.join(" or ");
      throw new Error(`the live tree is of generation ${generation}, not ${expected}`);
    }
    if (!strict && !left.generations.includes(generation + 1) && !this.#mixed) {
      throw new Error(`generation ${generation} is mixed with the next, which nobody wrote`);
    }
    this.#mixed = !strict;
    const lost = this.#session.journalEntries().find(([i]) => i === sequence + 1);
    if (lost !== undefined && lost[1] < left.durableUntil) {
      const ms = left.durableUntil - lost[1];
      throw new Error(`operation ${lost[0]} was lost, done ${ms} ms too early for that`);
    }
    return generation;
  }

  /** A random acknowledged snapshot, read through `.devdev/snapshots`. */
  async #checkOneSnapshot(): Promise<void> {
    if (this.#known.length === 0) return;
    const newest = this.#known.at(-1)!;
    const other = this.#known[this.#random(this.#known.length)]!;
    for (const snapshot of new Set([newest, other])) await this.#checkSnapshot(snapshot);
  }

  async #checkSnapshot({ name, generation }: KnownSnapshot): Promise<void> {
    const directory = `${this.#session.devdev.mountPoint}/.devdev/snapshots/${name}`;
    const verdict = await this.#session.verify(directory);
    if (verdict.problems.length > 0 || !verdict.strict || verdict.generation !== generation) {
      throw new Error(`snapshot ${name} of generation ${generation}: ${JSON.stringify(verdict)}`);
    }
  }

  async #work(kind: Kind, n: number, generation: number): Promise<Left> {
    switch (kind) {
      case "write":
        return this.#killWhileWriting(generation, 100 + this.#random(3400), 0);
      case "bulk":
        return this.#killWhileWriting(generation, 300 + this.#random(2500), 10 + this.#random(40));
      case "snapshot":
        return this.#killWhileSnapshotting(n, generation);
      case "restore":
        return this.#killWhileRestoring(n, generation);
      case "stop":
        return this.#killWhileStopping(generation);
      case "mount":
        this.#session.kill();
        return { generations: [generation], durableUntil: 0 };
    }
  }

  async #apply(generation: number): Promise<void> {
    const result = await this.#session.agent("apply", this.#session.devdev.mountPoint, generation);
    if (result.code !== 0) throw new Error(describe(result));
  }

  #durableAt(killedAt: number, megabytes: number): number {
    return killedAt - PROMISE_MS - STORE_MS - megabytes * STORE_MS_PER_MEGABYTE;
  }

  async #killWhileWriting(generation: number, ms: number, megabytes: number): Promise<Left> {
    const session = this.#session;
    session.startWriter();
    await session.writing();
    const busy =
      megabytes > 0
        ? session.agent("bulk", session.devdev.mountPoint, this.#random(1e9), megabytes)
        : undefined;
    await sleep(ms);
    const killedAt = Date.now();
    session.kill();
    await busy;
    return { generations: [generation], durableUntil: this.#durableAt(killedAt, megabytes) };
  }

  async #killWhileSnapshotting(n: number, generation: number): Promise<Left> {
    const session = this.#session;
    session.startWriter();
    await session.writing();
    await this.#apply(generation + 1);
    const timer = sleep(this.#random(700)).then(() => session.kill());
    let durableUntil = 0;
    let acknowledged = false;
    for (let k = 0; !session.killed; k++) {
      const started = Date.now();
      const snapshot = await session.snapshot(`i${n}-${k}`, generation + 1);
      if (snapshot === undefined) break;
      this.#known.push(snapshot);
      this.report.acknowledged++;
      // What was done before an acknowledged snapshot began is durable.
      durableUntil = started;
      acknowledged = true;
    }
    await timer;
    const generations = acknowledged ? [generation + 1] : [generation, generation + 1];
    return { generations, durableUntil };
  }

  async #killWhileRestoring(n: number, generation: number): Promise<Left> {
    const session = this.#session;
    await this.#apply(generation + 1);
    const own = await session.snapshot(`i${n}-before`, generation + 1);
    if (own === undefined) throw new Error("a snapshot failed although nobody was killed");
    this.#known.push(own);
    this.report.acknowledged++;
    const timer = sleep(this.#random(500)).then(() => session.kill());
    let live = [generation + 1];
    while (!session.killed) {
      const target = this.#known[this.#random(this.#known.length)]!;
      const result = await session.restore(target);
      if (result.code !== 0) {
        live = [...live, target.generation];
        break;
      }
      this.report.restored++;
      live = [target.generation];
    }
    await timer;
    return { generations: live, durableUntil: 0 };
  }

  /** A stop that was acknowledged loses nothing; one that was not, no more than a crash. */
  async #killWhileStopping(generation: number): Promise<Left> {
    const session = this.#session;
    await this.#apply(generation + 1);
    const timer = sleep(this.#random(400)).then(() => session.kill());
    const stopped = await session.devdev.cli(["daemon", "stop"]);
    await timer;
    const done = stopped.code === 0;
    return { generations: done ? [generation + 1] : [generation, generation + 1], durableUntil: 0 };
  }

  /** Every acknowledged snapshot, restored for good. */
  async finish(): Promise<void> {
    const session = this.#session;
    await session.mount();
    await this.#checkLive();
    for (const snapshot of this.#known) {
      const result = await session.restore(snapshot);
      if (result.code !== 0) throw new Error(describe(result));
      const { generation, strict, problems } = await session.verify();
      if (generation !== snapshot.generation || !strict || problems.length > 0) {
        const found = JSON.stringify({ generation, strict, problems });
        throw new Error(`${snapshot.name} (${snapshot.generation}) restored as ${found}`);
      }
    }
    const again = await session.snapshot("again", this.#known.at(-1)?.generation ?? -1);
    const last = this.#known.at(-1);
    if (last !== undefined && again?.id !== last.id) {
      throw new Error(`${last.name} is ${last.id}, its restored tree ${again?.id ?? "nothing"}`);
    }
    await session.devdev.ok(["daemon", "stop"]);
    await session.checkStore();
  }
}
