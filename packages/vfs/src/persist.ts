// What the store's worker drives: persist jobs, which bring out what a store lacks of a tree. The
// way back is tree-loader.ts.

import { devdevError } from "@devdev/errno";
import * as native from "@devdev/native";
import { guarded, hasCode, rethrow } from "./fs/call.js";
import type { Tree } from "./tree.js";

/** An object of the store: a block or a page, as the store's interfaces take it. */
export interface StoreObject {
  /** blake3-256 of the raw bytes: the key. */
  id: Uint8Array;
  /** How `data` is encoded; goes back to `supplyBlock` or `TreeLoader.supply` as it is. */
  encoding: number;
  rawLength: number;
  data: Uint8Array;
}

/** "full": somebody waits. "background": at most a quarter of a core. */
export type Pace = "full" | "background";

const BATCH_BYTES = 16 * 2 ** 20;
/** For what a few changed files come to: a larger one costs more to allocate than to fill. */
const FEW_BYTES = 2 ** 19;
/** Larger than any page. */
const MAX_BATCH_BYTES = 128 * 2 ** 20;
export const ID_BYTES = 32;
/** Id, then offset, length, raw length and encoding (native/addon/src/persist.rs). */
export const RECORD_BYTES = 48;

/** Buffers that are done with, by size: one of each waits for the next job of this thread. */
const spares = new Map<number, Uint8Array>();

function takeBuffer(bytes: number): Uint8Array {
  const spare = spares.get(bytes);
  spares.delete(bytes);
  return spare ?? new Uint8Array(bytes);
}

function giveBuffer(buffer: Uint8Array): void {
  if (spares.has(buffer.length)) free(buffer);
  else spares.set(buffer.length, buffer);
}

/** At once: the next collection may be far, and many of them make it come too often. */
function free(buffer: Uint8Array | undefined): void {
  (buffer?.buffer as ArrayBuffer | undefined)?.transfer(0);
}

/** Frees the buffers that wait for the next jobs of this thread. */
export function dropSpareBuffers(): void {
  for (const spare of spares.values()) free(spare);
  spares.clear();
}

function objects(records: Buffer, buffer: Uint8Array): StoreObject[] {
  const found: StoreObject[] = [];
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    const offset = records.readUInt32LE(at + ID_BYTES);
    found.push({
      id: records.subarray(at, at + ID_BYTES),
      data: buffer.subarray(offset, offset + records.readUInt32LE(at + ID_BYTES + 4)),
      rawLength: records.readUInt32LE(at + ID_BYTES + 8),
      encoding: records.readUInt32LE(at + ID_BYTES + 12),
    });
  }
  return found;
}

/**
 * Brings what the store lacks of a tree out in batches, hashed and compressed off this thread. In
 * this order: `hash`,
 * `setMissing`, `blocks` until empty, `pages` until empty, the store's commit with `root`,
 * `committed`.
 */
export class PersistJob implements Disposable {
  readonly #tree: Tree;
  readonly #batchBytes: number;
  /** From the first batch on. */
  #buffer: Uint8Array | undefined;
  /** Whether `blocks` has filled it: then the other one is next. */
  #inUse = false;
  #other: Uint8Array | undefined;
  /** Whether some were asked for. */
  #hasPages = false;
  #job: native.NativePersistJob | undefined;

  private constructor(tree: Tree, batchBytes: number) {
    this.#tree = tree;
    this.#batchBytes = batchBytes;
  }

  /** `batchBytes`: the size of the buffer that batches are packed into, unless it is little. */
  static start(tree: Tree, { batchBytes = BATCH_BYTES }: { batchBytes?: number } = {}): PersistJob {
    return new PersistJob(tree, batchBytes);
  }

  get #native(): native.NativePersistJob {
    if (this.#job === undefined) {
      throw devdevError("ERR_PERSIST_OUT_OF_ORDER", "a persist job starts with hash()");
    }
    return this.#job;
  }

  /** Ids of the blocks that the store may lack, 32 bytes each, in one array. */
  async hash(pace: Pace = "full"): Promise<Uint8Array> {
    const background = pace === "background";
    this.#job ??= await native.NativePersistJob.start(this.#tree.handle, background).catch(rethrow);
    return this.#native.hashes();
  }

  /** Which of them it lacks: what `BlockStore.missing` answered. */
  setMissing(bitmap: Uint8Array): void {
    guarded(() => this.#native.setMissing(bitmap));
  }

  /** Blocks to come, and their bytes before packing. */
  left(): { blocks: number; bytes: number } {
    return guarded(() => this.#native.left());
  }

  /**
   * The next batch of missing blocks; empty when all were given. Its `data` is valid until the call
   * after the next one, so that a batch can be written while the next is packed; of `pages` until
   * the next call of either.
   */
  async blocks(pace: Pace = "full"): Promise<StoreObject[]> {
    const job = this.#native;
    let buffer = (this.#buffer ??= this.#forBlocks());
    if (this.#inUse) {
      buffer = this.#other ?? new Uint8Array(buffer.length);
      [this.#buffer, this.#other] = [buffer, this.#buffer];
    }
    this.#inUse = true;
    return objects(await job.fillBlocks(buffer, pace === "background").catch(rethrow), buffer);
  }

  /** The next batch of pages, children before parents; empty when all were given. */
  async pages(): Promise<StoreObject[]> {
    // What did not fit is likely to be much more.
    if (this.#hasPages && this.#buffer && this.#buffer.length < this.#batchBytes) {
      giveBuffer(this.#buffer);
      this.#buffer = this.#take(this.#batchBytes);
    }
    this.#hasPages = true;
    for (;;) {
      const buffer = (this.#buffer ??= this.#take(FEW_BYTES));
      try {
        return objects(await this.#native.fillPages(buffer), buffer);
      } catch (error) {
        const larger = buffer.length * 2;
        const tooSmall = hasCode(error, "ERR_PERSIST_BUFFER_TOO_SMALL");
        if (!tooSmall || larger > MAX_BATCH_BYTES) rethrow(error);
        this.#buffer = new Uint8Array(larger);
      }
    }
  }

  #forBlocks(): Uint8Array {
    // Packing makes nothing much larger.
    return this.#take(this.left().bytes > FEW_BYTES / 2 ? this.#batchBytes : FEW_BYTES);
  }

  #take(bytes: number): Uint8Array {
    return takeBuffer(Math.min(bytes, this.#batchBytes));
  }

  /** Whether `pages` has given the last page. */
  get hasAllPages(): boolean {
    return this.#native.root() !== null;
  }

  /** After the last page: the id of the tree's own page, for a checkpoint or snapshot row. */
  root(): Uint8Array {
    const root = this.#native.root();
    if (root === null) {
      throw devdevError("ERR_PERSIST_OUT_OF_ORDER", "root() comes after the last page");
    }
    return root;
  }

  /**
   * After the commit that made it durable and referred to: notes in the tree that the store has all
   * of it.
   */
  committed(): void {
    guarded(() => this.#native.committed());
  }

  /** After a commit that failed: `setMissing` comes next. */
  rewind(): void {
    guarded(() => this.#native.rewind());
  }

  /**
   * Lets the job go, when none of its promises is pending; without `committed` nothing is noted.
   */
  close(): void {
    this.#job?.close();
    this.#job = undefined;
    if (this.#buffer) giveBuffer(this.#buffer);
    free(this.#other);
    this.#buffer = this.#other = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What a page refers to: ids of 32 bytes each. Throws when it is none. */
export function pageReferences({ encoding, rawLength, data }: Omit<StoreObject, "id">): {
  pages: Uint8Array;
  blocks: Uint8Array;
} {
  return guarded(() => native.pageReferences(encoding, rawLength, data));
}

/** The id of a page of these bytes, for who mends a damaged tree. Throws when they are none. */
export function pageId(bytes: Uint8Array): Buffer {
  return guarded(() => native.pageId(bytes));
}

/** Whether the bytes are the page of this id. */
export function verifyPage({ id, encoding, rawLength, data }: StoreObject): boolean {
  return guarded(() => native.verifyPage(id, encoding, rawLength, data));
}

/** Whether the bytes are the block of this id. */
export function verifyBlock({ id, encoding, rawLength, data }: StoreObject): boolean {
  return guarded(() => native.verifyBlock(id, encoding, rawLength, data));
}

/**
 * Ids (32 bytes each) of blocks that the engine `handle` needs though no checkpoint reaches them:
 * of open files without a name. To be asked by a sweep of the store after it has read the roots.
 */
export function pinnedBlocks(handle: number): Uint8Array {
  return guarded(() => native.pinnedBlocks(handle));
}
