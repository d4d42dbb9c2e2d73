// What the crash loop writes, as pure functions of a number: so the bytes that a snapshot must hold
// are known without having been kept, and half of an operation can be told from a torn one.

/** A deterministic hash of two numbers. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Bytes that depend on the seed and on their place. */
export function bytes(seed: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    if (i % 4 === 0) state = Math.imul(state, 0x343fd) + 0x269ec3;
    out[i] = (state >>> ((i % 4) * 8)) & 0xff;
  }
  return out;
}

/** The writer replaces one of so many files with each operation. */
export const SLOTS = 48;

/** The content that operation `i` of the writer puts into file `i % SLOTS`. */
export function slotContent(i: number): Buffer {
  const length = i % 50 === 0 ? 150_000 + (i % 1000) : 100 + (mix(i, 1) % 6000);
  return bytes(mix(i, 2), length);
}

/** What the synced file has from a place on. */
export function syncedBytes(from: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) out[i] = mix(from + i, 4) & 0xff;
  return out;
}

/** Files of the data tree, which moves from generation to generation. */
export const FILES = 60;

export interface Entry {
  path: string;
  kind: "absent" | "symlink" | "file";
  /** Of a file its bytes, of a symbolic link where it leads. */
  content: Buffer;
  mode: number;
}

export function changes(file: number, generation: number): boolean {
  return generation === 0 || mix(file, generation) % 4 === 0;
}

/** The entry of a file as the tree of a generation has it. */
export function entry(file: number, generation: number): Entry {
  let version = generation;
  while (version > 0 && !changes(file, version)) version--;
  const draw = mix(file + 1000, version);
  const path = `d${file % 6}/f${file}`;
  if (generation < 0 || draw % 10 === 0) {
    return { path, kind: "absent", content: Buffer.alloc(0), mode: 0 };
  }
  if (draw % 10 === 1) {
    const target = Buffer.from(`../d0/target-${version}`);
    return { path, kind: "symlink", content: target, mode: 0o777 };
  }
  const length = draw % 13 === 0 ? 70_000 + (draw % 90_000) : draw % 5000;
  const mode = [0o644, 0o600, 0o755][draw % 3]!;
  return { path, kind: "file", content: bytes(draw, length), mode };
}
