// The crash loop: mount, check what the last crash left, work, kill -9 at a random moment, again.
// What must hold: an acknowledged snapshot has its bytes for ever; the live tree is a state that
// existed, no older than a checkpoint promises; the mount point can be used at once.

import type { Devdev } from "../harness/devdev.ts";
import { describe } from "../harness/run.ts";
import type { Verdict } from "./agent.ts";
import { mix } from "./model.ts";
import { CrashSession, type KnownSnapshot } from "./session.ts";
import { DECK, type Kind, type Left, type Report } from "./kinds.ts";
import { Work } from "./work.ts";

/** Iterations on one store; then a new one, so that each seed is reached again quickly. */
export const ROUND = 50;

export class CrashLoop {
  readonly #session: CrashSession;
  readonly #seed: number;
  #draws = 0;
  readonly #kinds: readonly Kind[] | undefined;
  /** What the next iterations do. */
  #deck: Kind[] = [];
  readonly #work: Work;
  #left: Left | undefined;
  /** In what the last kill fell. */
  #before: Kind | undefined;
  /** The live tree came back on the way from one generation to the next. */
  #mixed = false;
  readonly report: Report = {
    iterations: 0,
    acknowledged: 0,
    restored: 0,
    forked: 0,
    kinds: {},
    cutSnapshots: 0,
    cutCheckpoints: 0,
    cutMigrations: 0,
    synced: 0,
    slowestMountMs: 0,
    oldestLossMs: 0,
  };

  constructor(devdev: Devdev, seed: number, kinds?: readonly Kind[]) {
    this.#kinds = kinds;
    this.#session = new CrashSession(devdev);
    this.#seed = seed;
    this.#work = new Work(this.#session, (below) => this.#random(below), this.report);
  }

  #random(below: number): number {
    return mix(this.#seed, this.#draws++) % below;
  }

  /** One life and death of the daemon. */
  async iterate(): Promise<void> {
    const n = this.report.iterations++;
    if (this.#deck.length === 0) this.#deck = [...(this.#kinds ?? DECK)];
    const [kind] = this.#deck.splice(this.#random(this.#deck.length), 1) as [Kind];
    this.report.kinds[kind] = (this.report.kinds[kind] ?? 0) + 1;
    const session = this.#session;
    try {
      const mountMs = await session.mount("--no-durable");
      this.report.slowestMountMs = Math.max(this.report.slowestMountMs, mountMs);
      const generation = await this.#checkLive();
      await this.#checkOneSnapshot();
      await this.#checkOneFork();
      this.#left = await this.#work.run(kind, n, generation);
      session.stopWriter();
      await session.gone();
      this.#before = kind;
      if (n % 10 === 9) await session.checkStore();
    } catch (error) {
      session.stopWriter();
      this.#fail(`iteration ${n} (${kind}, after ${this.#before})`, error);
    }
  }

  #fail(where: string, error: unknown): never {
    const { name } = this.#session.devdev.identity;
    const kinds = this.#kinds === undefined ? "" : ` ${this.#kinds.join(",")}`;
    const again = `scripts/crash ${this.report.iterations} ${this.#seed} ${name}${kinds}`;
    const message = `${where}, seed ${this.#seed}: ${(error as Error).message}\nrepeat it: ${again}`;
    throw new Error(message, { cause: error });
  }

  /** The live tree after a remount; returns its generation. */
  async #checkLive(): Promise<number> {
    const verdict = await this.#session.verify();
    const { problems, generation, strict, sequence, synced } = verdict;
    if (problems.length > 0) throw new Error(`the live tree: ${problems.slice(0, 5).join("; ")}`);
    const left = this.#left;
    if (left === undefined) return generation;
    if (synced < left.synced) {
      throw new Error(`fsync had returned for ${left.synced} bytes, and ${synced} are there`);
    }
    if (!left.generations.includes(generation)) {
      const expected = left.generations.join(" or ");
      throw new Error(`the live tree is of generation ${generation}, not ${expected}`);
    }
    if (!strict && !left.generations.includes(generation + 1) && !this.#mixed) {
      throw new Error(`generation ${generation} is mixed with the next, which nobody wrote`);
    }
    this.#mixed = !strict;
    const lost = this.#session.journalEntries().find(([i]) => i === sequence + 1);
    if (lost !== undefined && left.durableUntil > 0) {
      this.report.oldestLossMs = Math.max(this.report.oldestLossMs, left.killedAt - lost[1]);
    }
    if (lost !== undefined && lost[1] < left.durableUntil) {
      const ms = left.durableUntil - lost[1];
      const last = this.#session.journalEntries().at(-1)!;
      const span = `the last, ${last[0]}, was done ${last[1] - lost[1]} ms later`;
      throw new Error(`operation ${lost[0]} was lost, done ${ms} ms too early for that; ${span}`);
    }
    return generation;
  }

  /** A random acknowledged snapshot, read through `.devdev/snapshots`. */
  async #checkOneSnapshot(): Promise<void> {
    if (this.#work.known.length === 0) return;
    const newest = this.#work.known.at(-1)!;
    const other = this.#work.known[this.#random(this.#work.known.length)]!;
    for (const snapshot of new Set([newest, other])) await this.#checkSnapshot(snapshot);
  }

  /** A random acknowledged fork. */
  async #checkOneFork(): Promise<void> {
    const { forks } = this.#work;
    if (forks.length === 0) return;
    const fork = forks[this.#random(forks.length)]!;
    this.#expectWhole(fork, await this.#session.verifyFork(fork.name));
  }

  async #checkSnapshot(snapshot: KnownSnapshot): Promise<void> {
    const directory = `${this.#session.devdev.mountPoint}/.devdev/snapshots/${snapshot.name}`;
    this.#expectWhole(snapshot, await this.#session.verify(directory));
  }

  #expectWhole({ name, generation }: KnownSnapshot, verdict: Verdict): void {
    if (verdict.problems.length > 0 || !verdict.strict || verdict.generation !== generation) {
      throw new Error(`${name} of generation ${generation}: ${JSON.stringify(verdict)}`);
    }
  }

  /** Every acknowledged snapshot, restored for good and compared byte for byte. */
  async finish(): Promise<void> {
    await this.#restoreAll().catch((error: unknown) => this.#fail("at the end", error));
  }

  async #restoreAll(): Promise<void> {
    const session = this.#session;
    await session.mount();
    await this.#checkLive();
    for (const snapshot of this.#work.known) {
      const result = await session.restore(snapshot);
      if (result.code !== 0) throw new Error(describe(result));
      const { generation, strict, problems } = await session.verify();
      if (generation !== snapshot.generation || !strict || problems.length > 0) {
        const found = JSON.stringify({ generation, strict, problems });
        throw new Error(`${snapshot.name} (${snapshot.generation}) restored as ${found}`);
      }
    }
    const again = await session.snapshot("again", this.#work.known.at(-1)?.generation ?? -1);
    const last = this.#work.known.at(-1);
    if (last !== undefined && again?.id !== last.id) {
      throw new Error(`${last.name} is ${last.id}, its restored tree ${again?.id ?? "nothing"}`);
    }
    await session.devdev.ok(["gc"]);
    await session.checkPages();
    await session.devdev.ok(["daemon", "stop"]);
    await session.checkStore();
  }
}
