// What the writer does when nothing else is to do: copying the log into the database, collecting
// garbage, giving free pages back. In slices, so that a commit never waits for long.

import { Collector, hexOf } from "@devdev/store";
import type { CollectionResult, Store } from "@devdev/store";
import { dropSpareBuffers, giveBackMemory, pinnedBlocks } from "@devdev/vfs";

import { engineCodec } from "./codec.js";
import type { LogCopier } from "./log-copier.js";
import { ADDED, KEPT } from "./persist.js";
import type { Persisting } from "./persist.js";

/** Without work for this long the writer counts as idle. */
const IDLE_MS = 2000;
/** When it has been idle for so long, it does not keep memory for what may come. */
const REST_MS = 8000;
/** A collection begins when this much was added since the last one, and half of what it left. */
const LEAST_ADDED = 128 << 20;
/** 1: there is garbage of unknown size. */
const EXPECTED = "expected";

export class Upkeep {
  readonly #store: Store;
  readonly #running: ReadonlySet<Persisting>;
  readonly #copier: LogCopier;
  /** Numbers of the engines that live on this store. */
  readonly engines = new Set<number>();
  /** Roots that somebody reads, by id, and how many do. */
  readonly #held = new Map<string, number>();
  #collector: Collector | undefined;
  #collection: Promise<CollectionResult> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(store: Store, running: ReadonlySet<Persisting>, copier: LogCopier) {
    this.#store = store;
    this.#running = running;
    this.#copier = copier;
    this.touch();
  }

  get collecting(): boolean {
    return this.#collection !== undefined;
  }

  /** Ids that a commit relies on: a collection under way spares them. */
  protect(ids: Uint8Array): void {
    this.#collector?.protect(ids);
  }

  /** A tree that is being read stays, also when nothing refers to it any more. */
  hold(root: Uint8Array): void {
    const key = hexOf(root);
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
  }

  letGo(root: Uint8Array): void {
    const key = hexOf(root);
    const left = (this.#held.get(key) ?? 0) - 1;
    if (left > 0) this.#held.set(key, left);
    else this.#held.delete(key);
  }

  /** After a commit whose answer goes first. */
  touchSoon(): void {
    setImmediate(() => {
      try {
        if (!this.#stopped) this.touch();
      } catch {
        // What was committed is safe; the log is copied another time.
      }
    });
  }

  /** After every commit. */
  touch(): void {
    this.#store.maintain(false);
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#idle(), IDLE_MS).unref();
  }

  /** Removals leave garbage of unknown size: the next idle moment collects it. */
  expectGarbage(): void {
    this.#store.metadata.setCounter(EXPECTED, 1);
    this.touch();
  }

  collect(): Promise<CollectionResult> {
    this.#collection ??= this.#collect().finally(() => {
      this.#collector = undefined;
      this.#collection = undefined;
    });
    return this.#collection;
  }

  /** Leaves everything where a close may follow. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // A collection that was cut short rejects for its caller; nothing is half done.
    await this.#collection?.catch(() => undefined);
    await this.#copier.stop();
  }

  async #collect(): Promise<CollectionResult> {
    const collector = new Collector(this.#store, engineCodec, this.#heldRoots());
    this.#collector = collector;
    for (const { relied } of this.#running) relied.forEach((ids) => collector.protect(ids));
    for (const engine of this.engines) collector.protect(pinnedBlocks(engine));
    let result = collector.step();
    while (!result && !this.#stopped) {
      await turn();
      result = collector.step();
    }
    if (!result) throw new Error("the store was closed during the collection");
    this.#store.transaction(() => {
      this.#store.metadata.setCounter(KEPT, result.bytesKept);
      this.#store.metadata.setCounter(ADDED, 0);
      this.#store.metadata.setCounter(EXPECTED, 0);
    });
    return result;
  }

  /** Those that are there: one may have been held for a snapshot that had gone already. */
  #heldRoots(): Uint8Array[] {
    const roots = [...this.#held.keys()].map((key) => Buffer.from(key, "hex"));
    return roots.filter((root) => this.#store.metadata.page(root));
  }

  async #idle(): Promise<void> {
    try {
      const { metadata } = this.#store;
      const limit = Math.max(LEAST_ADDED, metadata.counter(KEPT) / 2);
      const due = metadata.counter(EXPECTED) === 1 || metadata.counter(ADDED) > limit;
      if (due) await this.collect();
      while (!this.#stopped && this.#running.size === 0 && this.#store.maintain(true)) await turn();
      if (!this.#stopped) this.#timer = setTimeout(() => this.#rest(), REST_MS).unref();
    } catch {
      // A store that cannot be tidied can still be read and written; `check` says what is wrong
      // with it.
    }
  }

  #rest(): void {
    if (this.#stopped || this.#running.size > 0) return;
    try {
      this.#store.rest?.();
    } catch {
      // As above: nothing is lost with it.
    }
    dropSpareBuffers();
    giveBackMemory();
  }
}

/** Lets what has come in be done first. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
