// How large a store is and whose its bytes are. Of a store that is written meanwhile, it is for who
// reads at one moment.

import { IdMap } from "./id-map.js";
import { IdSet } from "./id-set.js";
import { hexOf, ID_BYTES, idAt } from "./store.js";
import type { MeasuredStore } from "./measure.js";
import type { ObjectCodec, Scan, StoredObject } from "./store.js";

const SLICE = 1024;
const SHARED = -1;

export interface ObjectTotals {
  objects: number;
  bytes: number;
  /** Before they were encoded. */
  rawBytes: number;
}

export interface StoreStatistics {
  blocks: ObjectTotals;
  pages: ObjectTotals;
  /** Bytes that the trees of all roots have, each counted in full. */
  logicalBytes: number;
  garbageBytes: number;
  /** By id: bytes that only this workspace refers to, and that others do, too. */
  workspaces: Map<string, WorkspaceBytes>;
}

export interface WorkspaceBytes {
  uniqueBytes: number;
  sharedBytes: number;
}

const empty = (): ObjectTotals => ({ objects: 0, bytes: 0, rawBytes: 0 });

/** `treeBytes`: the bytes of the content of the tree that this root page stands for. */
export function statistics(
  store: MeasuredStore,
  codec: ObjectCodec,
  treeBytes: (root: StoredObject) => number,
): StoreStatistics {
  return new Counting(store, codec, treeBytes).run();
}

class Counting {
  readonly #store: MeasuredStore;
  readonly #codec: ObjectCodec;
  readonly #treeBytes: (root: StoredObject) => number;
  /** The number of the only workspace that refers to an object, or SHARED. */
  readonly #owners = new IdMap();
  /** Bytes of the objects that are shared. */
  readonly #shared = new IdMap();

  constructor(store: MeasuredStore, codec: ObjectCodec, treeBytes: (root: StoredObject) => number) {
    this.#store = store;
    this.#codec = codec;
    this.#treeBytes = treeBytes;
  }

  run(): StoreStatistics {
    const { metadata, blocks } = this.#store;
    const rows = metadata.workspaces();
    const roots = rows.map(({ id, checkpoint }) => [
      ...(checkpoint ? [checkpoint.root] : []),
      ...metadata.snapshots(id).map(({ root }) => root),
      ...metadata.bases(id).map(({ root }) => root),
    ]);
    for (const [number, own] of roots.entries()) this.#mark(number, own);
    const unique = new Map<number, number>();
    const totals = { blocks: empty(), pages: empty() };
    const garbageBytes =
      this.#sum((from) => metadata.scanPages(from, SLICE), totals.pages, unique) +
      this.#sum((from) => blocks.scan(from, SLICE), totals.blocks, unique);
    const workspaces = new Map<string, WorkspaceBytes>();
    for (const [number, { id }] of rows.entries()) {
      const sharedBytes = this.#sharedBytes(roots[number] ?? []);
      workspaces.set(id, { uniqueBytes: unique.get(number) ?? 0, sharedBytes });
    }
    const distinct = new Map(roots.flat().map((root) => [hexOf(root), root]));
    const logicalBytes = [...distinct.values()].reduce((sum, root) => sum + this.#bytesOf(root), 0);
    return { ...totals, logicalBytes, garbageBytes, workspaces };
  }

  #bytesOf(root: Uint8Array): number {
    const page = this.#store.metadata.page(root);
    return page ? this.#treeBytes(page) : 0;
  }

  /** A page that others have, too, need not be entered again once that is known of it. */
  #mark(number: number, roots: Uint8Array[]): void {
    const waiting = [...roots];
    for (let id = waiting.pop(); id; id = waiting.pop()) {
      if (!this.#own(id, number)) continue;
      const page = this.#store.metadata.page(id);
      if (!page) continue;
      const { pages, blocks } = this.#codec.references(page);
      for (let i = 0; i * ID_BYTES < blocks.length; i++) this.#own(idAt(blocks, i), number);
      for (let i = 0; i * ID_BYTES < pages.length; i++) waiting.push(idAt(pages, i));
    }
  }

  #sharedBytes(roots: Uint8Array[]): number {
    const [seen, waiting] = [new IdSet(), [...roots]];
    let sum = 0;
    const add = (id: Uint8Array): boolean => {
      if (!seen.add(id)) return false;
      sum += this.#shared.get(id) ?? 0;
      return true;
    };
    for (let id = waiting.pop(); id; id = waiting.pop()) {
      const page = add(id) ? this.#store.metadata.page(id) : undefined;
      if (!page) continue;
      const { pages, blocks } = this.#codec.references(page);
      for (let i = 0; i * ID_BYTES < blocks.length; i++) add(idAt(blocks, i));
      for (let i = 0; i * ID_BYTES < pages.length; i++) waiting.push(idAt(pages, i));
    }
    return sum;
  }

  /** False when nothing about it is new. */
  #own(id: Uint8Array, number: number): boolean {
    const owner = this.#owners.get(id);
    if (owner === number || owner === SHARED) return false;
    this.#owners.set(id, owner === undefined ? number : SHARED);
    return true;
  }

  #sum(scan: (from: number) => Scan, totals: ObjectTotals, unique: Map<number, number>): number {
    let garbage = 0;
    for (let from: number | undefined = 0; from !== undefined;) {
      const { objects, next }: Scan = scan(from);
      for (const { id, bytes, rawLength } of objects) {
        totals.objects += 1;
        totals.bytes += bytes;
        totals.rawBytes += rawLength;
        const owner = this.#owners.get(id);
        if (owner === undefined) garbage += bytes;
        else if (owner === SHARED) this.#shared.set(id, bytes);
        else unique.set(owner, (unique.get(owner) ?? 0) + bytes);
      }
      from = next;
    }
    return garbage;
  }
}
