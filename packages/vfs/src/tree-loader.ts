// Tree loaders, which build a tree from a store's pages: driven by the store's worker, as persist
// jobs are.

import { devdevError } from "@devdev/errno";
import * as native from "@devdev/native";
import { guarded, rethrow } from "./fs/call.js";
import { ID_BYTES, RECORD_BYTES, type StoreObject } from "./persist.js";
import { Tree } from "./tree.js";

/** So many pages are taken in by the calling thread. */
const FEW_PAGES = 24;

/** Builds a tree from the store's pages (blocks come later, as needs). */
export class TreeLoader implements Disposable {
  #loader: native.NativeTreeLoader | undefined;

  private constructor(loader: native.NativeTreeLoader) {
    this.#loader = loader;
  }

  /** With a `reference` (such as the live state, frozen) the tree shares with it what is equal. */
  static start(rootId: Uint8Array, { reference }: { reference?: Tree } = {}): TreeLoader {
    return new TreeLoader(guarded(() => native.NativeTreeLoader.start(rootId, reference?.handle)));
  }

  get #native(): native.NativeTreeLoader {
    if (this.#loader === undefined) throw devdevError("ERR_CLOSED", "the loader is closed");
    return this.#loader;
  }

  /** Ids of the pages that are wanted now; empty when the tree is complete. */
  wanted(): Uint8Array[] {
    const ids = guarded(() => this.#native.wanted());
    return Array.from({ length: ids.length / ID_BYTES }, (_, n) =>
      ids.subarray(n * ID_BYTES, (n + 1) * ID_BYTES),
    );
  }

  /** One page; throws when the bytes are not what the id says. */
  supply({ id, encoding, rawLength, data }: StoreObject): void {
    guarded(() => this.#native.supply(id, encoding, rawLength, data));
  }

  /**
   * Several of them, which another thread looks at; nothing else may be asked until that is done.
   * Rejects as `supply` throws.
   */
  async supplyAll(pages: readonly StoreObject[]): Promise<void> {
    // Sooner done here than a thread is started.
    if (pages.length <= FEW_PAGES) return pages.forEach((page) => this.supply(page));
    const records = Buffer.allocUnsafe(pages.length * RECORD_BYTES);
    let offset = 0;
    for (const [n, { id, encoding, rawLength, data }] of pages.entries()) {
      const at = n * RECORD_BYTES;
      records.set(id, at);
      records.writeUInt32LE(offset, at + ID_BYTES);
      records.writeUInt32LE(data.length, at + ID_BYTES + 4);
      records.writeUInt32LE(rawLength, at + ID_BYTES + 8);
      records.writeUInt32LE(encoding, at + ID_BYTES + 12);
      offset += data.length;
    }
    const bytes = Buffer.concat(pages.map(({ data }) => data));
    await guarded(() => this.#native.supplyAll(records, bytes)).catch(rethrow);
  }

  /** The tree, checked as a whole. */
  async finish(): Promise<Tree> {
    const small = guarded(() => this.#native.finishSmall());
    if (small !== null) return Tree.own(small);
    return Tree.own(await guarded(() => this.#native.finish()).catch(rethrow));
  }

  close(): void {
    this.#loader?.close();
    this.#loader = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
