// Garbage collection: marks what checkpoints and snapshots reach, then deletes the rest, in slices
// between which commits go on. Separate from the store because only the engine knows what a page
// refers to.
//
// INVARIANT: what a commit relies on is never deleted. A commit relies on objects that it asked
// about and found, and on objects that the checkpoint of its workspace already reached. The first
// must be passed to protect(), also those asked about before the collection began; the second are
// marked, since a commit that began before the collection cannot have had its checkpoint replaced
// by anybody else. What else is needed
// (by files that are open but have no name) is protected by who knows of it, between construction,
// which reads the roots, and the first step.
// Marking may keep too much (what became garbage meanwhile); the next collection finds it.

import { StoreError } from "./errors.js";
import { IdSet } from "./id-set.js";
import { hexOf, ID_BYTES, idAt } from "./store.js";
import type { ObjectCodec, Scan, Store, StoredObject } from "./store.js";

/**
 * Objects looked at per slice; a slice of blocks that all go is a transaction of a few megabytes of
 * index.
 */
const SLICE = 256;

export interface CollectionResult {
  pagesKept: number;
  blocksKept: number;
  bytesKept: number;
  bytesFreed: number;
}

export class Collector {
  readonly #store: Store;
  readonly #codec: ObjectCodec;
  readonly #keep = new IdSet();
  readonly #roots: Uint8Array[];
  readonly #steps: Generator<undefined, CollectionResult, undefined>;

  /** `held`: further roots, of trees that somebody reads. */
  constructor(store: Store, codec: ObjectCodec, held: readonly Uint8Array[] = []) {
    this.#store = store;
    this.#codec = codec;
    this.#roots = [...store.metadata.roots(), ...held];
    this.#steps = this.#run();
  }

  /** Keeps these objects (32 bytes each), whether or not a root reaches them. */
  protect(ids: Uint8Array): void {
    this.#keep.addAll(ids);
  }

  /**
   * Does one slice; the result after the last. Throws when the store is damaged: then nothing is
   * deleted.
   */
  step(): CollectionResult | undefined {
    const { done, value } = this.#steps.next();
    return done ? value : undefined;
  }

  *#run(): Generator<undefined, CollectionResult, undefined> {
    yield* this.#mark();
    const { blocks, metadata } = this.#store;
    const pages = yield* this.#sweep(
      (from) => metadata.scanPages(from, SLICE),
      (ids) => metadata.deletePages(ids),
    );
    const swept = yield* this.#sweep(
      (from) => blocks.scan(from, SLICE),
      (ids) => blocks.delete(ids),
    );
    return {
      pagesKept: pages.kept,
      blocksKept: swept.kept,
      bytesKept: pages.bytesKept + swept.bytesKept,
      bytesFreed: pages.bytesFreed + swept.bytesFreed,
    };
  }

  *#mark(): Generator<undefined, void, undefined> {
    // Apart from #keep: a protected page says nothing about whether its children have been visited.
    const visited = new IdSet();
    const waiting = this.#roots;
    let seen = 0;
    for (let id = waiting.pop(); id; id = waiting.pop()) {
      if (visited.add(id)) {
        this.#keep.add(id);
        const { pages, blocks } = this.#codec.references(this.#page(id));
        this.#keep.addAll(blocks);
        for (let i = 0; i * ID_BYTES < pages.length; i++) waiting.push(idAt(pages, i));
      }
      if (++seen % SLICE === 0) yield;
    }
  }

  #page(id: Uint8Array): StoredObject {
    const page = this.#store.metadata.page(id);
    if (page) return page;
    throw new StoreError(
      "ERR_STORE_CORRUPT",
      `page ${hexOf(id)} is missing; nothing was collected`,
    );
  }

  *#sweep(
    scan: (from: number) => Scan,
    remove: (ids: Uint8Array[]) => number,
  ): Generator<undefined, { kept: number; bytesKept: number; bytesFreed: number }, undefined> {
    let [kept, bytesKept, bytesFreed] = [0, 0, 0];
    for (let from: number | undefined = 0; from !== undefined;) {
      yield;
      const { objects, next }: Scan = scan(from);
      const garbage = objects.filter(({ id }) => !this.#keep.has(id));
      const keeping = objects.length - garbage.length;
      kept += keeping;
      bytesKept += objects.reduce((sum, { bytes }) => sum + bytes, 0);
      if (garbage.length > 0) {
        const freed = this.#store.transaction(() => remove(garbage.map(({ id }) => id)), {
          durable: false,
        });
        bytesKept -= freed;
        bytesFreed += freed;
      }
      from = next;
    }
    return { kept, bytesKept, bytesFreed };
  }
}
