// Names in directories of stored trees: their order, which is that of a hash, and names for what
// has lost its own or part of its content.

import type { Entry } from "./page-codec.js";

const MASK = (1n << 64n) - 1n;
const LONGEST = 255;
const DISCRIMINATORS = 128n;

const rotated = (value: bigint, by: bigint): bigint =>
  ((value << by) | (value >> (64n - by))) & MASK;

/** SipHash-1-3 with the zero key. */
export function sipHash(bytes: Buffer): bigint {
  let [a, b, c, d] = [
    0x736f6d6570736575n,
    0x646f72616e646f6dn,
    0x6c7967656e657261n,
    0x7465646279746573n,
  ];
  const round = (): void => {
    a = (a + b) & MASK;
    b = rotated(b, 13n) ^ a;
    a = rotated(a, 32n);
    c = (c + d) & MASK;
    d = rotated(d, 16n) ^ c;
    a = (a + d) & MASK;
    d = rotated(d, 21n) ^ a;
    c = (c + b) & MASK;
    b = rotated(b, 17n) ^ c;
    c = rotated(c, 32n);
  };
  const word = (value: bigint): void => {
    d ^= value;
    round();
    a ^= value;
  };
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8) word(bytes.readBigUInt64LE(at));
  const last = Buffer.alloc(8);
  bytes.copy(last, 0, whole);
  last.writeUInt8(bytes.length & 0xff, 7);
  word(last.readBigUInt64LE());
  c ^= 0xffn;
  round();
  round();
  round();
  return a ^ b ^ c ^ d;
}

/** The place of an entry: entries of a directory come by ascending cookie. */
export function cookieOf({ name, discriminator }: Pick<Entry, "name" | "discriminator">): bigint {
  const hash = sipHash(name) >> 8n;
  return (hash > 1n ? hash : 1n) * DISCRIMINATORS + BigInt(discriminator);
}

/** The entries with one more, under a name that begins like `wish` and that none of them has. */
export function withEntry(entries: Entry[], wish: Buffer, ino: number, type: number): Entry[] {
  const taken = new Set(entries.map(({ name }) => name.toString("latin1")));
  let name = wish.subarray(0, LONGEST);
  for (let n = 2; taken.has(name.toString("latin1")); n++) {
    const end = Buffer.from(`-${n}`);
    name = Buffer.concat([wish.subarray(0, LONGEST - end.length), end]);
  }
  const base = cookieOf({ name, discriminator: 0 });
  const equal = new Set(
    entries
      .map((each) => cookieOf(each) - base)
      .filter((distance) => distance >= 0n && distance < DISCRIMINATORS),
  );
  let discriminator = 0;
  while (equal.has(BigInt(discriminator))) discriminator += 1;
  const all = [...entries, { discriminator, name, ino, type }];
  const placed = all.map((entry) => ({ entry, cookie: cookieOf(entry) }));
  return placed.toSorted((x, y) => (x.cookie < y.cookie ? -1 : 1)).map(({ entry }) => entry);
}

/** What a file is called of which part of the content is gone: never as one that is whole. */
export function damagedName(name: Buffer): Buffer {
  const end = Buffer.from(".damaged");
  return Buffer.concat([name.subarray(0, LONGEST - end.length), end]);
}
