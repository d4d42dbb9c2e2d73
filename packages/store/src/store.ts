// The two interfaces a store consists of: blocks (bytes by content hash) and metadata (tree pages,
// workspaces, checkpoint roots, snapshots). Separate from any implementation, so that another one
// can take SQLite's place.
//
// Both are synchronous: they are used from a thread of their own, and an implementation that has to
// wait may block it. Whoever passes ids of several objects passes them as one array of 32 bytes
// each.

import type { EventStore } from "./events.js";

/** Bytes of an id: BLAKE3-256. */
export const ID_BYTES = 32;

/**
 * An object as it is kept: `data` is the content in this encoding, `rawLength` its length without.
 */
export interface StoredObject {
  encoding: number;
  rawLength: number;
  data: Uint8Array;
}

/** A piece of a file. */
export interface Block extends StoredObject {
  id: Uint8Array;
}

/** A node of a tree; only the engine looks inside. */
export interface Page extends StoredObject {
  id: Uint8Array;
}

/** A stretch of a listing: `next` is where the following one starts, undefined after the last. */
export interface Scan {
  objects: Array<{ id: Uint8Array; bytes: number; rawLength: number }>;
  next: number | undefined;
}

/**
 * Bytes by content hash. An object is never changed, so `put` of an id that is there does nothing.
 */
export interface BlockStore {
  /** A bitmap, lowest bit first: bit i is set when the i-th id is not there. */
  missing(ids: Uint8Array): Uint8Array;
  /** All or none of them; returns the bytes that were added. */
  put(blocks: Iterable<Block>): number;
  get(id: Uint8Array): StoredObject | undefined;
  /**
   * Bytes of its `data` from `offset` on: fewer than `length` where it ends, none at and behind the
   * end. RangeError when one of the two is no integer of 0 or more.
   */
  range(id: Uint8Array, offset: number, length: number): Uint8Array | undefined;
  /** Returns the bytes that became free; ids that are not there are no error. */
  delete(ids: Iterable<Uint8Array>): number;
  /** Lists everything in pieces; objects put meanwhile may or may not appear. Start with 0. */
  scan(from: number, limit: number): Scan;
}

/** Refuses what `range` says no store takes; an implementation begins with it. */
export function checkRange(offset: number, length: number): void {
  for (const [name, value] of Object.entries({ offset, length })) {
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new RangeError(`${name} is an integer of 0 or more, not ${value}`);
  }
}

export interface PageStore {
  missingPages(ids: Uint8Array): Uint8Array;
  putPages(pages: Iterable<Page>): number;
  page(id: Uint8Array): StoredObject | undefined;
  deletePages(ids: Iterable<Uint8Array>): number;
  scanPages(from: number, limit: number): Scan;
}

/**
 * The root page of a tree in the store, and when it was committed (milliseconds since the epoch).
 */
export interface Checkpoint {
  root: Uint8Array;
  at: number;
}

export interface WorkspaceRow {
  id: string;
  name: string;
  /** Where it is, or was last, mounted. */
  mountPath?: string;
  /** It is mounted there; after a start: it was, when its process died. */
  mounted?: true;
  /** Limits and choices, as JSON values. */
  options: Record<string, unknown>;
  createdAt: number;
  checkpoint?: Checkpoint;
}

export interface SnapshotRow {
  workspace: string;
  /** From 1 on; never used again, also when the snapshot is removed. */
  sequence: number;
  /** 64 hex digits. */
  contentId: string;
  root: Uint8Array;
  name?: string;
  message?: string;
  automatic: boolean;
  createdAt: number;
  bytes: number;
  inodes: number;
}

/**
 * What a workspace had in common with another one when it was forked from it (or from something
 * that was), or when one of them was last merged into the other.
 */
export interface BaseRow {
  workspace: string;
  /** Id and name, at that time, of the other one; it may have been removed since. */
  other: string;
  name: string;
  kind: "fork" | "merge";
  /** The tree that they had in common. */
  root: Uint8Array;
  /** Milliseconds since the epoch. */
  at: number;
}

export type NewWorkspace = Omit<WorkspaceRow, "checkpoint" | "mounted">;
export type NewSnapshot = Omit<SnapshotRow, "sequence">;

/** What a snapshot is of. */
export type SnapshotTree = Pick<SnapshotRow, "contentId" | "root" | "bytes" | "inodes">;

export interface WorkspaceChange {
  name?: string;
  /** null forgets it. */
  mountPath?: string | null;
  mounted?: boolean;
  options?: Record<string, unknown>;
}

export interface MetadataStore extends PageStore {
  /** What happened to the workspaces; it goes with them. */
  readonly history: EventStore;
  /** ERR_STORE_EXISTS when the name is taken. */
  createWorkspace(row: NewWorkspace): void;
  /** Oldest first. */
  workspaces(): WorkspaceRow[];
  workspace(id: string): WorkspaceRow | undefined;
  workspaceByName(name: string): WorkspaceRow | undefined;
  /** ERR_STORE_NOT_FOUND when there is none, ERR_STORE_EXISTS when the new name is taken. */
  updateWorkspace(id: string, change: WorkspaceChange): void;
  setCheckpoint(id: string, checkpoint: Checkpoint): void;
  /**
   * With its snapshots and bases, and what merges others have with it; false when there is none.
   */
  removeWorkspace(id: string): boolean;
  /** Hands out the sequence. ERR_STORE_EXISTS when the workspace has a snapshot of that name. */
  addSnapshot(row: NewSnapshot): SnapshotRow;
  /** Oldest first. */
  snapshots(workspace: string): SnapshotRow[];
  removeSnapshot(workspace: string, sequence: number): boolean;
  /** All of them or none; returns how many there were. */
  removeSnapshots(workspace: string, sequences: Iterable<number>): number;
  /** Another tree for a snapshot whose own was damaged. ERR_STORE_NOT_FOUND when there is none. */
  replaceSnapshot(workspace: string, sequence: number, tree: SnapshotTree): void;
  /** Replaces that of the same workspaces and kind. ERR_STORE_NOT_FOUND. */
  setBase(row: BaseRow): void;
  /** Forks in the order they were kept (so the last one is that of the source), then merges. */
  bases(workspace: string): BaseRow[];
  /** Forgets the merges of a workspace, into it or from it, that were later than this. */
  removeMerges(workspace: string, after: number): void;
  /** Every root that must stay: checkpoints, snapshots and bases. */
  roots(): Uint8Array[];
  /** Small numbers that outlive the process (0 until set). */
  counter(name: string): number;
  setCounter(name: string, value: number): void;
}

export interface TransactionOptions {
  /**
   * False: a power loss may take it back (a crash of the process may not), until the next durable
   * one.
   * For bulk data that nothing refers to yet.
   */
  durable?: boolean;
}

/** A block store and a metadata store that commit together. */
export interface Store {
  readonly blocks: BlockStore;
  readonly metadata: MetadataStore;
  /**
   * All that `run` does or, when it throws, nothing. Durable when it returns. A nested one joins
   * the outer.
   */
  transaction<T>(run: () => T, options?: TransactionOptions): T;
  /** Problems of the storage below the objects (one sentence each). */
  verify(): string[];
  /**
   * Housekeeping after commits; `idle` when nothing else waits. Returns whether there is more to
   * do.
   */
  maintain(idle: boolean): boolean;
  /** When nothing came for long: lets go of memory and files that only speed up what comes next. */
  rest?(): void;
  close(): void;
}

/**
 * What the engine knows about objects and a store does not: which refer to which, and which are
 * whole.
 */
export interface ObjectCodec {
  /** The ids (32 bytes each) that a page refers to. Throws when it is none. */
  references(page: StoredObject): { pages: Uint8Array; blocks: Uint8Array };
  /** Whether these bytes are the page of this id. */
  verifyPage(id: Uint8Array, page: StoredObject): boolean;
  /** Whether these bytes decode to the block of this id. */
  verifyBlock(id: Uint8Array, block: StoredObject): boolean;
}

/** The i-th id of an array of ids. */
export function idAt(ids: Uint8Array, index: number): Uint8Array {
  return ids.subarray(index * ID_BYTES, (index + 1) * ID_BYTES);
}

/** For messages and map keys. */
export function hexOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("hex");
}

/** Builds the answer of `missing` from a test for one id. */
export function missingBitmap(ids: Uint8Array, has: (id: Uint8Array) => boolean): Uint8Array {
  const count = Math.floor(ids.length / ID_BYTES);
  const bitmap = new Uint8Array(Math.ceil(count / 8));
  for (let i = 0; i < count; i++) {
    if (!has(idAt(ids, i))) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (1 << (i & 7));
  }
  return bitmap;
}

/** Bit i of a bitmap that `missing` gave. */
export function isMissing(bitmap: Uint8Array, index: number): boolean {
  return ((bitmap[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}
