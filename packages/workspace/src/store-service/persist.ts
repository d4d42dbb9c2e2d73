// Brings one frozen tree into the store: what the store lacks in batches, each a transaction of its
// own, then the rows that refer to it in one durable transaction. Until that one nothing refers to
// the batches, so a crash in between leaves garbage that a collection finds, and the state before.
// What is small goes in together with the rows: the database writes each page that it touches once.

import { DevdevError } from "@devdev/errno";
import type { EventRow, NewEvent, NewSnapshot, SnapshotRow, Store } from "@devdev/store";
import { PersistJob, Tree } from "@devdev/vfs";
import type { Pace, StoreObject } from "@devdev/vfs";

import { passPhase } from "../fault.js";
import { numberedFrom } from "./inode-numbers.js";
import type { PersistRequest, PersistResult, SnapshotEvent } from "./interface.js";

/** In the background, so that a hurry takes effect soon, and of small trees; else larger ones. */
const SMALL_BATCH = 2 << 20;
// Two of them are in use at a time.
const BATCH = 8 << 20;
/** Bytes of a tree that is no longer small: beside it, two large batches count for little. */
const LARGE_TREE = 256 << 20;

/** What is small: blocks and their bytes before packing. */
const SMALL = { blocks: 128, bytes: 1 << 20 };

/** Bytes that were added since the last collection. */
export const ADDED = "added";
/** The most bytes that the store should have, 0: no limit. Whoever owns snapshots keeps to it. */
export const LIMIT = "limit";
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
    const isLarge = tree.bytes >= LARGE_TREE && this.#request.background !== true;
    const batchBytes = isLarge ? BATCH : SMALL_BATCH;
    using job = PersistJob.start(tree, { batchBytes });
    const blocks = await job.hash(this.#pace);
    this.#rely(blocks);
    job.setMissing(this.#store.blocks.missing(blocks));
    const left = job.left();
    const isSmall = left.blocks <= SMALL.blocks && left.bytes <= SMALL.bytes;
    // The job's buffer is used again for pages.
    const together = isSmall ? copied(await this.#blocks(job)) : [];
    await this.#putBlocks(job);
    let last = await this.#pages(job);
    while (!job.hasAllPages) {
      this.#put(() => this.#store.metadata.putPages(last));
      last = await this.#pages(job);
    }
    const result = this.#commit(job.root(), together, last, tree.nextIno);
    job.committed();
    return result;
  }

  /** While one batch is written the next one is packed, by other threads. */
  async #putBlocks(job: PersistJob): Promise<void> {
    let next = this.#blocks(job);
    try {
      for (let batch = await next; batch.length > 0; batch = await next) {
        next = this.#blocks(job);
        this.#put(() => this.#store.blocks.put(batch));
      }
    } finally {
      // The job's buffers are its threads' until then.
      await next.catch(() => undefined);
    }
  }

  async #blocks(job: PersistJob): Promise<StoreObject[]> {
    return job.left().blocks > 0 ? job.blocks(this.#pace) : [];
  }

  async #pages(job: PersistJob): Promise<StoreObject[]> {
    const pages = await job.pages();
    this.#rely(Buffer.concat(pages.map(({ id }: StoreObject) => id)));
    return pages;
  }

  #rely(ids: Uint8Array): void {
    this.#relied.push(ids);
    this.#onRelied(ids);
  }

  #put(put: () => number): void {
    if (this.#givenUp) throw new DevdevError("ECANCELED", "nobody waits for this any more");
    this.#store.transaction(() => this.#count(put()), { durable: false });
    passPhase("persist");
  }

  #count(added: number): void {
    const { metadata } = this.#store;
    metadata.setCounter(ADDED, metadata.counter(ADDED) + added);
    this.#added += added;
  }

  #commit(
    root: Uint8Array,
    blocks: StoreObject[],
    pages: StoreObject[],
    nextIno: number,
  ): PersistResult {
    const { workspace, at, snapshot, event, checkpoint, mergesUntil } = this.#request;
    const { metadata } = this.#store;
    if (this.#givenUp) throw new DevdevError("ECANCELED", "nobody waits for this any more");
    const rows = this.#store.transaction(() => {
      let added = 0;
      if (blocks.length > 0) {
        added += this.#store.blocks.put(blocks);
        passPhase("persist");
      }
      added += metadata.putPages(pages);
      passPhase("persist");
      // The tree's own page knows the numbers already.
      const own = { root, added: 0 };
      const live = checkpoint ? numberedFrom(metadata, checkpoint, nextIno) : own;
      this.#rely(live.root);
      this.#count(added + live.added);
      // INVARIANT: what the live tree holds as stored is reachable from the checkpoint, so a
      // snapshot, after which the tree counts as stored, replaces it too (or is itself what it is
      // reachable from).
      metadata.setCheckpoint(workspace, { root: live.root, at });
      if (mergesUntil !== undefined) metadata.removeMerges(workspace, mergesUntil);
      const full: NewSnapshot | undefined = snapshot && { ...snapshot, workspace, root };
      const kept = full && metadata.addSnapshot(full);
      const noted = kept && event && noteOf(metadata, kept, event);
      passPhase("commit");
      return { ...(kept && { snapshot: kept }), ...(noted && { event: noted }) };
    });
    passPhase("commit");
    const storeBytes = metadata.counter(KEPT) + metadata.counter(ADDED);
    return { root, bytesAdded: this.#added, storeBytes, ...rows };
  }
}

function copied(objects: StoreObject[]): StoreObject[] {
  return objects.map((each) => ({ ...each, data: each.data.slice() }));
}

function noteOf(
  { history }: Store["metadata"],
  { workspace, sequence, contentId }: SnapshotRow,
  { ends, ...event }: SnapshotEvent,
): EventRow {
  const row: NewEvent = { ...event, workspace, snapshot: sequence, state: contentId };
  return history.addEvent(row, ends);
}
