// What the memory store is made of: maps whose changes a failed transaction takes back, and objects
// by id.

import { checkRange, hexOf, missingBitmap } from "../store.js";
import type { Block, Scan } from "../store.js";

/** Takes back what a failed transaction did, newest first. */
export class Journal {
  #undo: Array<() => void> | undefined;

  get running(): boolean {
    return this.#undo !== undefined;
  }

  note(undo: () => void): void {
    this.#undo?.push(undo);
  }

  run<T>(work: () => T): T {
    if (this.#undo !== undefined) return work();
    const undo: Array<() => void> = [];
    this.#undo = undo;
    try {
      return work();
    } catch (error) {
      this.#undo = undefined;
      for (const step of undo.toReversed()) step();
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }
}

/** A map whose changes a journal can take back. */
export class JournalMap<K, V> {
  readonly map = new Map<K, V>();
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  set(key: K, value: V): void {
    const had = this.map.has(key);
    const old = this.map.get(key);
    this.#journal.note(() => (had ? this.map.set(key, old as V) : this.map.delete(key)));
    this.map.set(key, value);
  }

  delete(key: K): boolean {
    const old = this.map.get(key);
    if (!this.map.delete(key)) return false;
    this.#journal.note(() => this.map.set(key, old as V));
    return true;
  }
}

/** Objects by id, in the order they came. */
export class Objects {
  readonly #byId: JournalMap<string, { object: Block; order: number }>;
  #last = 0;

  constructor(journal: Journal) {
    this.#byId = new JournalMap(journal);
  }

  missing(ids: Uint8Array): Uint8Array {
    return missingBitmap(ids, (id) => this.#byId.map.has(hexOf(id)));
  }

  put(objects: Iterable<Block>): number {
    let added = 0;
    for (const object of objects) {
      const key = hexOf(object.id);
      if (this.#byId.map.has(key)) continue;
      const copy = { ...object, id: new Uint8Array(object.id), data: new Uint8Array(object.data) };
      this.#byId.set(key, { object: copy, order: ++this.#last });
      added += copy.data.length;
    }
    return added;
  }

  get(id: Uint8Array): Block | undefined {
    return this.#byId.map.get(hexOf(id))?.object;
  }

  range(id: Uint8Array, offset: number, length: number): Uint8Array | undefined {
    checkRange(offset, length);
    return this.get(id)?.data.slice(offset, offset + length);
  }

  delete(ids: Iterable<Uint8Array>): number {
    let freed = 0;
    for (const id of ids) {
      const bytes = this.get(id)?.data.length ?? 0;
      if (this.#byId.delete(hexOf(id))) freed += bytes;
    }
    return freed;
  }

  scan(from: number, limit: number): Scan {
    const later = [...this.#byId.map.values()]
      .filter((entry) => entry.order > from)
      .toSorted((a, b) => a.order - b.order);
    const some = later.slice(0, limit);
    return {
      objects: some.map(({ object }) => ({
        id: object.id,
        bytes: object.data.length,
        rawLength: object.rawLength,
      })),
      next: later.length > limit ? some.at(-1)?.order : undefined,
    };
  }
}
