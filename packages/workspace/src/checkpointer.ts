// Checkpoints in the background: one starts within two seconds of the first change, one at a time,
// gently while a command runs. Separate from snapshots, which it only must not overlap.

import type { Tree, Vfs } from "@devdev/vfs";

import type { Keeper } from "./keeper.js";
import type { Mutex } from "./mutex.js";
import type { WorkspaceParts } from "./parts.js";

/**
 * How often changes are looked for; with the delay below a checkpoint starts within two seconds.
 */
const LOOK_MS = 500;
/** After the first change was seen, so that a burst of changes becomes one checkpoint. */
const DELAY_MS = 1000;
/** After a checkpoint that failed. */
const RETRY_MS = 5000;

export interface CheckpointerOptions {
  vfs: Vfs;
  keeper: Keeper;
  mutex: Mutex;
  now: () => number;
  /** Whether a command runs that a checkpoint should leave the processors to. */
  busy: () => boolean;
  /** Told of one in the background that is durable now. */
  onKept: (ms: number) => void;
  /** Told of a checkpoint that failed; it is tried again. */
  onFailure: (error: unknown) => void;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #timer: NodeJS.Timeout | undefined;
  /** The change count that the store has. */
  #kept: bigint;
  /**
   * When a change was first seen that the store does not have, in milliseconds of performance.now.
   */
  #changedAt: number | undefined;
  #notBefore = 0;
  #running: Promise<void> | undefined;
  #lastAt: number | undefined;
  #made = { count: 0, totalMs: 0 };
  /** While who has the mutex lets checkpoints be made: the last of those. */
  #between: Promise<void> | undefined;
  /** Called when that begins, for those in `sync` who wait for the mutex. */
  readonly #queued = new Set<() => void>();

  /** `keptAt`: the store has the present state since then. */
  constructor(options: CheckpointerOptions, keptAt: number | undefined) {
    this.#options = options;
    this.#kept = keptAt === undefined ? -1n : options.vfs.changeCount();
    this.#lastAt = keptAt;
  }

  /** When the store last took a state, milliseconds since the epoch. */
  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  /** The checkpoints that had something to store. */
  get made(): { count: number; totalMs: number } {
    return this.#made;
  }

  /** Whether the store has the present state. */
  get clean(): boolean {
    return this.#options.vfs.changeCount() === this.#kept;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#options.keeper.hurry();
    await this.#running;
  }

  /** Notes that the store has the state of that change count (a snapshot or a restore did it). */
  noteKept(changeCount: bigint): void {
    this.#kept = changeCount;
    this.#changedAt = undefined;
    this.#lastAt = this.#options.now();
  }

  /** The store has a state that became the live one; what was changed since is not known. */
  noteRestored(): void {
    this.noteUnknown();
    this.#lastAt = this.#options.now();
  }

  /** It is not known which state the store has as the one to come back to. */
  noteUnknown(): void {
    this.#kept = -1n;
  }

  /** Makes everything done so far durable. The caller has the mutex. */
  async run(background: boolean): Promise<void> {
    const { vfs } = this.#options;
    const changeCount = vfs.changeCount();
    if (changeCount === this.#kept) return;
    using tree = vfs.freeze();
    await this.keep(tree, changeCount, background);
  }

  /**
   * Keeps a tree that was frozen at that change count, unless the store has it. The caller has the
   * mutex.
   */
  async keep(tree: Tree, changeCount: bigint, background = false): Promise<void> {
    const { keeper, now } = this.#options;
    if (changeCount === this.#kept) return;
    const began = performance.now();
    await keeper.checkpoint(tree, now(), background);
    this.noteKept(changeCount);
    const { count, totalMs } = this.#made;
    if (keeper.durable)
      this.#made = { count: count + 1, totalMs: totalMs + performance.now() - began };
  }

  /** Makes everything done so far durable for those who wait for it in fsync. */
  async sync(): Promise<void> {
    const { keeper, onFailure } = this.#options;
    keeper.hurry();
    try {
      if (this.#between !== undefined || !(await this.#inTurn())) await this.#inBetween();
    } catch (error) {
      onFailure(error);
      throw error;
    }
  }

  /** Runs when the mutex is free; false when `meanwhile` came first. */
  async #inTurn(): Promise<boolean> {
    const { promise: letIn, resolve } = Promise.withResolvers<void>();
    this.#queued.add(resolve);
    const turn = this.#options.mutex.run(() => this.run(false));
    try {
      return await Promise.race([turn.then(() => true), letIn.then(() => false)]);
    } finally {
      this.#queued.delete(resolve);
    }
  }

  #inBetween(): Promise<void> {
    const before = this.#between ?? Promise.resolve();
    const own = before.catch(() => undefined).then(() => this.run(false));
    if (this.#between !== undefined) this.#between = own;
    return own;
  }

  /**
   * For who has the mutex and waits for processes, which may wait in fsync: `sync` goes on while
   * `work` does.
   */
  async meanwhile<T>(work: () => Promise<T>): Promise<T> {
    this.#between = Promise.resolve();
    for (const letIn of this.#queued) letIn();
    try {
      return await work();
    } finally {
      const last = this.#between.catch(() => undefined);
      this.#between = undefined;
      await last;
    }
  }

  #look(): void {
    const time = performance.now();
    if (this.clean) this.#changedAt = undefined;
    else this.#changedAt ??= time;
    const due = this.#changedAt !== undefined && time - this.#changedAt >= DELAY_MS;
    // Who has the mutex is about to keep a newer state than this would.
    if (!due || this.#running || this.#options.mutex.busy || time < this.#notBefore) return;
    const { mutex, busy, onFailure, onKept } = this.#options;
    this.#running = mutex
      .run(() => this.run(busy()))
      .then(() => onKept(Math.round(performance.now() - time)))
      .catch((error: unknown) => {
        this.#notBefore = performance.now() + RETRY_MS;
        onFailure(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
  }
}

/** The checkpointer of a workspace, which logs what becomes of its checkpoints. */
export function checkpointerOf(
  parts: WorkspaceParts,
  mutex: Mutex,
  busy: () => boolean,
): Checkpointer {
  const { vfs, keeper, now, log, name } = parts;
  const options: CheckpointerOptions = {
    vfs,
    keeper,
    mutex,
    now,
    busy,
    // Every two seconds where somebody works: for who looks closely.
    onKept: (ms) => log?.debug({ workspace: name, ms }, "checkpointed"),
    onFailure: (err) =>
      log?.warn({ workspace: name, err }, "a checkpoint failed; it is tried again"),
  };
  return new Checkpointer(options, parts.keptAt);
}
