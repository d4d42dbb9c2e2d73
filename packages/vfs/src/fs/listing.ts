// Directory listings: the addon's packed bytes as names or Dirents.

import type { Dirent } from "node:fs";
import { DirectoryEntry } from "@devdev/protocol";
import { encoded } from "./arguments.js";

interface Listed {
  /** Name, or of a recursive listing the path below the directory. */
  name: Buffer;
  kind: number;
}

/** Each name: kind, u32le length, bytes (native/addon/src/values.rs). */
export function unpack(packed: Buffer): Listed[] {
  const names: Listed[] = [];
  for (let at = 0; at < packed.length;) {
    const end = at + 5 + packed.readUInt32LE(at + 1);
    names.push({ kind: packed[at] ?? 0, name: packed.subarray(at + 5, end) });
    at = end;
  }
  return names;
}

const SLASH = 0x2f;

function joined(directory: string, below: string): string {
  return directory.endsWith("/") ? directory + below : `${directory}/${below}`;
}

/** The names, in the encoding asked for (undefined: Buffers). */
export function namesOf(packed: Buffer, encoding: BufferEncoding | undefined): string[] | Buffer[] {
  if (encoding === undefined) return unpack(packed).map(({ name }) => name);
  // Straight from the bytes: a Buffer for each name would cost more than its text.
  const names: string[] = [];
  for (let at = 0; at < packed.length;) {
    const start = at + 5;
    at = start + packed.readUInt32LE(at + 1);
    names.push(packed.toString(encoding, start, at));
  }
  return names;
}

/** The entries below `directory` as Dirents. */
export function direntsOf(
  packed: Buffer,
  directory: string,
  encoding: BufferEncoding | undefined,
): Dirent[] {
  return unpack(packed).map(({ name, kind }) => {
    const slash = name.lastIndexOf(SLASH);
    const parent = slash < 0 ? directory : joined(directory, name.toString("utf8", 0, slash));
    const own = encoded(name.subarray(slash + 1), encoding);
    return new DirectoryEntry(own, parent, kind) as unknown as Dirent;
  });
}
