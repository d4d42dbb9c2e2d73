// A set of object ids that holds the first 64 bits of each: 16 bytes an id where a Set of strings
// takes 150.
// Two ids with the same 64 bits count as one, which for its users (what to keep, what was seen) is
// the safe side by design of the first and, at 2^-64 a pair, no concern for the second.

import { ID_BYTES, idAt } from "./store.js";

export class IdSet {
  #slots = new BigUint64Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Returns false when it was there. */
  add(id: Uint8Array): boolean {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    return this.#insert(keyOf(id));
  }

  addAll(ids: Uint8Array): void {
    const count = Math.floor(ids.length / ID_BYTES);
    for (let i = 0; i < count; i++) this.add(idAt(ids, i));
  }

  has(id: Uint8Array): boolean {
    const key = keyOf(id);
    return this.#slots[this.#find(key)] === key;
  }

  /** The slot that holds the key, or the free one where it belongs. */
  #find(key: bigint): number {
    const mask = this.#slots.length - 1;
    let slot = Number(key & 0x7fffffffn) & mask;
    for (;;) {
      const found = this.#slots[slot];
      if (found === key || found === 0n) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #insert(key: bigint): boolean {
    const slot = this.#find(key);
    if (this.#slots[slot] === key) return false;
    this.#slots[slot] = key;
    this.#size += 1;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(old.length * 2);
    this.#size = 0;
    for (const key of old) if (key !== 0n) this.#insert(key);
  }
}

/** 0 marks a free slot, so that key becomes 1. */
function keyOf(id: Uint8Array): bigint {
  const view = new DataView(id.buffer, id.byteOffset, 8);
  return view.getBigUint64(0, true) || 1n;
}
