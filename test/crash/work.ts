// The work of one iteration of the crash loop, and the kill that falls into it. Separate from the
// loop, which checks what was left: here it is said what may be left.

import { SCHEMA_VERSION } from "@devdev/store";
import { makeOlder } from "@devdev/store/test-kit";
import { describe, sleep, until } from "../harness/run.ts";
import { CHECKPOINT_PHASES, type Kind, type Left, left, PHASES, type Report } from "./kinds.ts";
import type { CrashSession, KnownSnapshot } from "./session.ts";

/** A checkpoint starts within 2 s of the first change; the rest is a busy store's. */
const PROMISE_MS = 2000;
const STORE_MS = 20_000;
const STORE_MS_PER_MEGABYTE = 60;
/** Three checkpoints on a slow machine. */
const FAULT_LIMIT_MS = 120_000;

export class Work {
  readonly #session: CrashSession;
  readonly #random: (below: number) => number;
  /** Every acknowledged snapshot. */
  readonly known: KnownSnapshot[] = [];
  /** Every acknowledged fork that nobody has begun to remove, with what it was made of. */
  readonly forks: KnownSnapshot[] = [];
  readonly report: Report;

  constructor(session: CrashSession, random: (below: number) => number, report: Report) {
    this.#session = session;
    this.#random = random;
    this.report = report;
  }

  async run(kind: Kind, n: number, generation: number): Promise<Left> {
    switch (kind) {
      case "write":
        return this.#killWhileWriting(generation, 100 + this.#random(2400), 0);
      case "bulk":
        return this.#killWhileWriting(generation, 300 + this.#random(2500), 10 + this.#random(20));
      case "checkpoint":
        return this.#dieInCheckpoint(generation);
      case "snapshot":
        return this.#killWhileSnapshotting(n, generation);
      case "restore":
        return this.#killWhileRestoring(n, generation);
      case "fork":
        return this.#killWhileForking(n, generation);
      case "gc":
        return this.#killWhileCollecting(n, generation);
      case "durable":
        return this.#killWhileSyncing(generation, this.#random(600));
      case "migrate":
        return this.#dieInMigration(generation);
      case "stop":
        return this.#killWhileStopping(generation);
      case "fault":
        return this.#dieInPhase(n, generation);
      case "mount":
        this.#session.kill();
        return left([generation]);
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
    return { ...left([generation], this.#durableAt(killedAt, megabytes)), killedAt };
  }

  /** What fsync has returned for in a durable workspace is there. */
  async #killWhileSyncing(generation: number, ms: number): Promise<Left> {
    const session = this.#session;
    await session.devdev.ok(["unmount", session.devdev.mountPoint]);
    await session.mount("--durable");
    session.startWriter("synced");
    await session.writing();
    await sleep(ms);
    const killedAt = Date.now();
    session.kill();
    await session.gone();
    const entries = session.journalEntries();
    this.report.synced += entries.length;
    return { ...left([generation]), killedAt, synced: entries.at(-1)![0] };
  }

  async #killWhileSnapshotting(n: number, generation: number): Promise<Left> {
    const session = this.#session;
    session.startWriter();
    await session.writing();
    await this.#apply(generation + 1);
    let durableUntil = 0;
    await this.#killWhile(async (k) => {
      const started = Date.now();
      const snapshot = await session.snapshot(`i${n}-${k}`, generation + 1);
      if (snapshot === undefined) {
        this.report.cutSnapshots++;
        return false;
      }
      this.known.push(snapshot);
      this.report.acknowledged++;
      // What was done before an acknowledged snapshot began is durable.
      durableUntil = started;
      return true;
    });
    return left([generation + 1], durableUntil);
  }

  /**
   * Does it again and again, until it says that it was cut short: nobody disturbs the first time,
   * and in one of the next few the kill comes, however long each of them takes on this machine.
   */
  async #killWhile(step: (k: number) => Promise<boolean>): Promise<void> {
    const session = this.#session;
    const started = Date.now();
    if (!(await step(0))) throw new Error("it failed although nobody was killed");
    const took = Date.now() - started;
    const timer = sleep(this.#random(3 * took + 1)).then(() => session.kill());
    for (let k = 1; !session.killed && (await step(k)); k++);
    await timer;
  }

  async #killWhileRestoring(n: number, generation: number): Promise<Left> {
    await this.#applied(n, generation + 1);
    let live = [generation + 1];
    await this.#killWhile(async () => {
      const target = this.known[this.#random(this.known.length)]!;
      const done = (await this.#session.restore(target)).code === 0;
      if (done) this.report.restored++;
      live = done ? [target.generation] : [...live, target.generation];
      return done;
    });
    return left(live);
  }

  /** With a snapshot that was acknowledged, so that it is known what is live. */
  async #applied(n: number, generation: number): Promise<void> {
    await this.#apply(generation);
    const own = await this.#session.snapshot(`i${n}-own`, generation);
    if (own === undefined) throw new Error("a snapshot failed although nobody was killed");
    this.known.push(own);
    this.report.acknowledged++;
  }

  async #killWhileForking(n: number, generation: number): Promise<Left> {
    const session = this.#session;
    await this.#applied(n, generation + 1);
    await this.#killWhile(async (k) => {
      const source = this.known[this.#random(this.known.length)]!;
      const fork = { ...source, name: `f${n}-${k}` };
      if (!(await session.fork(fork.name, source))) return false;
      this.forks.push(fork);
      this.report.forked++;
      return true;
    });
    return left([generation + 1]);
  }

  /** Forks go, and what only they had is collected. */
  async #killWhileCollecting(n: number, generation: number): Promise<Left> {
    const session = this.#session;
    await this.#applied(n, generation + 1);
    await this.#killWhile(async () => {
      const gone = this.forks.pop();
      if (gone !== undefined) await session.devdev.cli(["rm", "--yes", gone.name]);
      if (!session.killed) await session.devdev.cli(["gc"]);
      return true;
    });
    return left([generation + 1]);
  }

  /** Ends itself while it makes of a store of an older version one of its own. */
  async #dieInMigration(generation: number): Promise<Left> {
    const session = this.#session;
    const version = 1 + this.#random(SCHEMA_VERSION - 1);
    // Each step passes the phase twice.
    const times = 1 + this.#random(2 * (SCHEMA_VERSION - version));
    const older = (store: string): void => makeOlder(store, version);
    if (await session.mountWithFault(`kill:migrate:${times}`, older)) session.kill();
    else this.report.cutMigrations++;
    return left([generation]);
  }

  /** Writes until the daemon ends itself in a checkpoint that it makes in the background. */
  async #dieInCheckpoint(generation: number): Promise<Left> {
    const session = this.#session;
    const phase = CHECKPOINT_PHASES[this.#random(CHECKPOINT_PHASES.length)]!;
    const fault = `kill:${phase}:${1 + this.#random(3)}`;
    if (!(await session.mountWithFault(fault))) return left([generation]);
    const kept = Date.now();
    session.startWriter();
    await until("the end of the daemon in a checkpoint", () => !session.alive, FAULT_LIMIT_MS);
    const killedAt = Date.now();
    this.report.cutCheckpoints++;
    // What was there before is in the store since the mount.
    return { ...left([generation], Math.min(kept, this.#durableAt(killedAt, 0))), killedAt };
  }

  /** Works until the daemon comes to the phase in which it is to end itself. */
  async #dieInPhase(n: number, generation: number): Promise<Left> {
    const session = this.#session;
    const fault = `kill:${PHASES[this.#random(PHASES.length)]}:${1 + this.#random(5)}`;
    if (!(await session.mountWithFault(fault))) return left([generation]);
    const applied = await session.agent("apply", session.devdev.mountPoint, generation + 1);
    let live = applied.code === 0 ? [generation + 1] : [generation, generation + 1];
    // A checkpoint in between, as it would happen by itself.
    let durable = false;
    for (let k = 0; k < 6 && session.alive && applied.code === 0; k++) {
      const snapshot = durable ? undefined : await session.snapshot(`i${n}-${k}`, generation + 1);
      if (snapshot !== undefined) {
        this.known.push(snapshot);
        this.report.acknowledged++;
        durable = true;
      }
      const target = this.known[this.#random(this.known.length)];
      if (target === undefined || !durable || !session.alive) continue;
      const result = await session.restore(target);
      live = result.code === 0 ? [target.generation] : [...live, target.generation];
    }
    session.kill();
    return left(durable ? live : [generation, ...live]);
  }

  /** A stop that was acknowledged loses nothing; one that was not, no more than a crash. */
  async #killWhileStopping(generation: number): Promise<Left> {
    const session = this.#session;
    await this.#apply(generation + 1);
    const timer = sleep(this.#random(400)).then(() => session.kill());
    const stopped = await session.devdev.cli(["daemon", "stop"]);
    await timer;
    const done = stopped.code === 0;
    return left(done ? [generation + 1] : [generation, generation + 1]);
  }
}
