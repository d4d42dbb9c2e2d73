// Objects as files of a directory: `ab/cdef...` for the id abcdef..., a head of five bytes and then
// the object's data. For who wants a store that rsync, git-annex or a look with ls understands.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { asHostError } from "./host-error.js";
import type { Journal } from "../memory/objects.js";
import { checkRange, hexOf, missingBitmap } from "../store.js";
import type { Block, BlockStore, Scan, StoredObject } from "../store.js";

/** Encoding (a byte), length without it (four bytes, least significant first). */
const HEAD_BYTES = 5;
const NAME = /^[0-9a-f]{62}$/;

/**
 * INVARIANT: a file has its final name only when it is complete, and is deleted only after the
 * commit of the transaction that deleted it.
 */
export class DirectoryObjects implements BlockStore {
  readonly #root: string;
  readonly #journal: Journal;
  readonly #together: <T>(work: () => T) => T;
  /** Files that a durable commit still has to sync. */
  readonly #unsynced = new Set<string>();
  /** Deleted by the transaction under way. */
  readonly #going = new Set<string>();

  constructor(root: string, journal: Journal, together: <T>(work: () => T) => T) {
    this.#root = root;
    this.#journal = journal;
    this.#together = together;
    mkdirSync(root, { recursive: true, mode: 0o700 });
  }

  missing(ids: Uint8Array): Uint8Array {
    return missingBitmap(ids, (id) => this.#size(hexOf(id)) !== undefined);
  }

  put(objects: Iterable<Block>): number {
    return this.#together(() => {
      let added = 0;
      for (const object of objects) if (this.#add(object)) added += object.data.length;
      return added;
    });
  }

  get(id: Uint8Array): StoredObject | undefined {
    const key = hexOf(id);
    if (this.#size(key) === undefined) return undefined;
    const bytes = reading(() => readFileSync(this.#path(key)));
    return {
      encoding: bytes.readUInt8(0),
      rawLength: bytes.readUInt32LE(1),
      data: bytes.subarray(HEAD_BYTES),
    };
  }

  range(id: Uint8Array, offset: number, length: number): Uint8Array | undefined {
    checkRange(offset, length);
    const size = this.#size(hexOf(id));
    if (size === undefined) return undefined;
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    return reading(() => {
      const fd = openSync(this.#path(hexOf(id)), "r");
      try {
        return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, HEAD_BYTES + offset));
      } finally {
        closeSync(fd);
      }
    });
  }

  delete(ids: Iterable<Uint8Array>): number {
    return this.#together(() => {
      let freed = 0;
      for (const id of ids) {
        const key = hexOf(id);
        const size = this.#size(key);
        if (size === undefined) continue;
        this.#going.add(key);
        this.#journal.note(() => this.#going.delete(key));
        freed += size;
      }
      return freed;
    });
  }

  /** The place in the listing is the first byte of the id, then how far one has come below it. */
  scan(from: number, limit: number): Scan {
    const objects: Scan["objects"] = [];
    for (let folder = Math.floor(from / PER_FOLDER); folder < 256; folder++) {
      const prefix = folder.toString(16).padStart(2, "0");
      const past = folder * PER_FOLDER + PER_FOLDER <= from ? PER_FOLDER : from % PER_FOLDER;
      const skipped = folder === Math.floor(from / PER_FOLDER) ? past : 0;
      for (const [rest, place] of placed(this.#names(prefix))) {
        if (place <= skipped) continue;
        const head = this.#head(prefix + rest);
        if (head) objects.push({ id: Buffer.from(prefix + rest, "hex"), ...head });
        if (objects.length === limit) return { objects, next: folder * PER_FOLDER + place };
      }
    }
    return { objects, next: undefined };
  }

  /** Everything put since the last durable commit reaches the disk. */
  sync(): void {
    const folders = new Set([...this.#unsynced].map((path) => dirname(path)));
    for (const path of this.#unsynced) syncPath(path);
    for (const folder of folders) syncPath(folder);
    if (folders.size > 0) syncPath(this.#root);
    this.#unsynced.clear();
  }

  /** After the commit: what it deleted goes. */
  settle(): void {
    for (const key of this.#going) {
      rmSync(this.#path(key), { force: true });
      this.#unsynced.delete(this.#path(key));
    }
    this.#going.clear();
  }

  #add({ id, encoding, rawLength, data }: Block): boolean {
    const key = hexOf(id);
    if (this.#going.delete(key)) {
      this.#journal.note(() => this.#going.add(key));
      // Deleted and put again: what is new may differ from what was there.
      this.#keepAside(key);
    } else if (this.#size(key) !== undefined) return false;
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt8(encoding, 0);
    head.writeUInt32LE(rawLength, 1);
    const path = this.#path(key);
    writing(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(`${path}.new`, Buffer.concat([head, data]), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    });
    this.#unsynced.add(path);
    this.#journal.note(() => {
      rmSync(path, { force: true });
      this.#unsynced.delete(path);
    });
    return true;
  }

  #keepAside(key: string): void {
    const before = readFileSync(this.#path(key));
    this.#journal.note(() => writeFileSync(this.#path(key), before, { mode: 0o600 }));
  }

  #path(key: string): string {
    return join(this.#root, key.slice(0, 2), key.slice(2));
  }

  /** Bytes of its data; undefined when it is not there. */
  #size(key: string): number | undefined {
    if (this.#going.has(key)) return undefined;
    const stats = reading(() => statSync(this.#path(key), { throwIfNoEntry: false }));
    return stats && Math.max(0, stats.size - HEAD_BYTES);
  }

  #head(key: string): { bytes: number; rawLength: number } | undefined {
    const bytes = this.#size(key);
    if (bytes === undefined) return undefined;
    const head = Buffer.alloc(HEAD_BYTES);
    const fd = openSync(this.#path(key), "r");
    try {
      readSync(fd, head, 0, HEAD_BYTES, 0);
    } finally {
      closeSync(fd);
    }
    return { bytes, rawLength: head.readUInt32LE(1) };
  }

  #names(prefix: string): string[] {
    try {
      return readdirSync(join(this.#root, prefix)).filter((name) => NAME.test(name));
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return [];
      throw asHostError(error, "listing objects");
    }
  }
}

/** Places below one folder: the next 40 bits of the id, which no two ids of a folder share. */
const PER_FOLDER = 2 ** 41;

/** Names by ascending place, from 1 on; a place belongs to a name, whatever else comes and goes. */
function placed(names: string[]): Array<[name: string, place: number]> {
  const all = names.map((name): [string, number] => [name, 1 + Number(`0x${name.slice(0, 10)}`)]);
  return all.toSorted((a, b) => a[1] - b[1]);
}

export function syncPath(path: string): void {
  writing(() => {
    const fd = openSync(path, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

function reading<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asHostError(error, "reading the store");
  }
}

function writing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asHostError(error, "writing the store");
  }
}
