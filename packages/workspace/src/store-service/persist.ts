// Brings one frozen tree into the store: what the store lacks in batches, each a transaction of its
// own, then the rows that refer to it in one durable transaction. Until that one nothing refers to
// the batches, so a crash in between leaves garbage that a collection finds, and the state before.

import { DevdevError } from "@devdev/errno";
import type { NewSnapshot, Store } from "@devdev/store";
import { PersistJob, Tree } from "@devdev/vfs";
import type { Pace, StoreObject } from "@devdev/vfs";

import { passPhase } from "../fault.js";
import type { PersistRequest, PersistResult } from "./interface.js";

/** In the background, so that a hurry takes effect soon; else larger ones. */
const BACKGROUND_BATCH = 2 << 20;
const BATCH = 16 << 20;

/** Bytes that were added since the last collection. */
export const ADDED = "added";
/** Bytes that the last collection left. */
export const KEPT = "kept";

/** One tree on its way. */
export class Persisting {
  readonly workspace: string;
  readonly #store: Store;
  readonly #request: PersistRequest;
  /** Ids that this commit will rely on, for a collection that begins before it is done. */
  readonly #relied: Uint8Array[] = [];
  readonly #onRelied: (ids: Uint8Array) => void;
  #pace: Pace;
  #givenUp = false;
  #added = 0;

  /** `onRelied` hears of ids as soon as they are relied on. */
  constructor(store: Store, request: PersistRequest, onRelied: (ids: Uint8Array) => void) {
    this.#store = store;
    this.#request = request;
    this.workspace = request.workspace;
    this.#onRelied = onRelied;
    this.#pace = request.background ? "background" : "full";
  }

  get relied(): readonly Uint8Array[] {
    return this.#relied;
  }

  hurry(): void {
    this.#pace = "full";
  }

  /** Between two batches, of which nothing is left then but garbage. */
  giveUp(): void {
    this.#givenUp = true;
  }

  async run(): Promise<PersistResult> {
    using tree = Tree.attach(this.#request.tree);
    const batchBytes = this.#request.background ? BACKGROUND_BATCH : BATCH;
    using job = PersistJob.start(tree, { batchBytes });
    const blocks = await job.hash(this.#pace);
    this.#rely(blocks);
    job.setMissing(this.#store.blocks.missing(blocks));
    for (let batch = await job.blocks(this.#pace); batch.length > 0;) {
      this.#put(() => this.#store.blocks.put(batch));
      batch = await job.blocks(this.#pace);
    }
    for (let batch = await job.pages(); batch.length > 0; batch = await job.pages()) {
      this.#rely(Buffer.concat(batch.map(({ id }: StoreObject) => id)));
      this.#put(() => this.#store.metadata.putPages(batch));
    }
    const result = this.#commit(job.root());
    job.committed();
    return result;
  }

  #rely(ids: Uint8Array): void {
    this.#relied.push(ids);
    this.#onRelied(ids);
  }

  #put(put: () => number): void {
    if (this.#givenUp) throw new DevdevError("ECANCELED", "nobody waits for this any more");
    const { metadata } = this.#store;
    const bytes = this.#store.transaction(
      () => {
        const added = put();
        metadata.setCounter(ADDED, metadata.counter(ADDED) + added);
        return added;
      },
      { durable: false },
    );
    this.#added += bytes;
    passPhase("persist");
  }

  #commit(root: Uint8Array): PersistResult {
    const { workspace, at, snapshot } = this.#request;
    const { metadata } = this.#store;
    const row = this.#store.transaction(() => {
      // INVARIANT: what the live tree holds as stored is reachable from the checkpoint, so a
      // snapshot, after which the tree counts as stored, replaces it too.
      metadata.setCheckpoint(workspace, { root, at });
      const full: NewSnapshot | undefined = snapshot && { ...snapshot, workspace, root };
      const added = full && metadata.addSnapshot(full);
      passPhase("commit");
      return added;
    });
    passPhase("commit");
    const storeBytes = metadata.counter(KEPT) + metadata.counter(ADDED);
    return { root, bytesAdded: this.#added, storeBytes, ...(row && { snapshot: row }) };
  }
}
