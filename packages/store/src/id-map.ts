// A map from object ids to small numbers that holds the first 64 bits of each id, as IdSet does.

const LARGEST_LOAD = 0.5;

export class IdMap {
  #keys = new BigUint64Array(1024);
  #values = new Int32Array(1024);
  #size = 0;

  get(id: Uint8Array): number | undefined {
    const slot = this.#find(keyOf(id));
    return this.#keys[slot] === 0n ? undefined : this.#values[slot];
  }

  set(id: Uint8Array, value: number): void {
    if (this.#size >= this.#keys.length * LARGEST_LOAD) this.#grow();
    this.#insert(keyOf(id), value);
  }

  #insert(key: bigint, value: number): void {
    const slot = this.#find(key);
    if (this.#keys[slot] === 0n) this.#size += 1;
    this.#keys[slot] = key;
    this.#values[slot] = value;
  }

  #find(key: bigint): number {
    const mask = this.#keys.length - 1;
    let slot = Number(key & 0x7fffffffn) & mask;
    while (this.#keys[slot] !== 0n && this.#keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = new BigUint64Array(keys.length * 2);
    this.#values = new Int32Array(keys.length * 2);
    this.#size = 0;
    for (const [slot, key] of keys.entries()) {
      if (key !== 0n) this.#insert(key, values[slot] ?? 0);
    }
  }
}

/** 0 marks a free slot. */
function keyOf(id: Uint8Array): bigint {
  const view = new DataView(id.buffer, id.byteOffset, 8);
  return view.getBigUint64(0, true) || 1n;
}
