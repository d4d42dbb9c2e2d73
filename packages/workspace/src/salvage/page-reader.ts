// Takes the values of docs/FORMAT.md off the front of a page.

export class PageReader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.at++);
  }

  number(): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  take(length: number): Buffer {
    if (this.at + length > this.#bytes.length) throw new RangeError("a page ends early");
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  string(): Buffer {
    return this.take(this.number());
  }

  many<T>(count: number, one: () => T): T[] {
    return Array.from({ length: count }, one);
  }

  since(start: number): Buffer {
    return this.#bytes.subarray(start, this.at);
  }
}
