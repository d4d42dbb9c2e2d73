// The core VFS: a Node-shaped fs API, snapshots and the host mount over the native addon, which nothing
// else imports.

import type { DiffEntry, PathArgument, WorkspaceFs } from "@devdev/protocol";

/** How an engine is made. */
export interface VfsOptions {
  /** Most bytes of content; default 16 GiB. */
  maxBytes?: number;
  /** Most inodes; default 16,000,000. */
  maxInodes?: number;
  /** Offer extended attributes (default true). */
  xattrs?: boolean;
  /** The clock, nanoseconds since the epoch; default the system's. Asked before each call of `fs`. */
  clock?: () => bigint;
  /** Owner of the root and of what `fs` creates; default this process's user. */
  uid?: number;
  gid?: number;
}

export interface VfsUsage {
  bytes: number;
  inodes: number;
  maxBytes: number;
  maxInodes: number;
  /** Bytes changed that the store does not have (see `markClean`). */
  dirtyBytes: number;
}

export interface HostMountConfig {
  /** Let other users enter (FUSE's allow_other). */
  allowOther?: boolean;
  /** Honour set-user-id bits and devices (root only). */
  suidAndDevices?: boolean;
  /** The bridge's messages. */
  onLog?: (level: "debug" | "info" | "warn" | "error", message: string) => void;
  /** Called once when the mount is gone: by `unmount`, or lost (unmounted by others, connection aborted). */
  onEnd?: (reason: "unmounted" | "lost") => void;
}

export interface RestoreReport {
  /** Inodes whose attributes or content changed, and names that changed. */
  filesChanged: number;
  /** How long operations were held up by the switch itself. */
  pauseNs: number;
}

export interface FlushReport {
  /** Inodes that had to be waited for. */
  inodes: number;
  ms: number;
}

/** A name in `.devdev/snapshots`. */
export interface SnapshotName {
  name: string | Buffer;
  /** Its time, nanoseconds since the epoch. */
  timeNs: bigint;
}

/** One engine: a live tree, its file API, its host mount. */
export declare class Vfs implements Disposable {
  static create(options?: VfsOptions): Vfs;
  /** A new engine whose live state is `tree`: after a start, of an import, a fork. O(1). */
  static fromTree(tree: Tree, options?: VfsOptions): Vfs;
  /** The engine of this number, made by any thread of the process. */
  static attach(handle: number): Vfs;
  private constructor();
  /** Process-wide number: send it to a worker, which attaches. */
  readonly handle: number;
  readonly fs: WorkspaceFs;
  /** The host mount, while there is one. */
  readonly hostMount: HostMount | undefined;
  /** Mounts at an absolute host path (made if absent, and then removed at unmount). */
  mount(path: string, options?: HostMountConfig): Promise<HostMount>;
  /** Brings stores through shared mappings into the engine; call before `freeze` of a snapshot. */
  flush(): Promise<FlushReport>;
  /** Freezes the live tree; O(1). `pauseNs` of the result says how long operations waited. */
  freeze(): Tree;
  /** Makes `tree` the live state in one step, then brings the kernel's caches in line. */
  restore(tree: Tree): Promise<RestoreReport>;
  usage(): VfsUsage;
  /** Two equal values mean that nothing changed in between. */
  changeCount(): bigint;
  /** What `.devdev/snapshots` lists. */
  setSnapshots(list: readonly SnapshotName[]): void;
  /** Says that the store holds `tree`, frozen from this engine: its changes are no longer dirty. */
  markClean(tree: Tree): void;
  /** Lets the engine go; EBUSY while it is mounted. Attached objects only detach. */
  close(): void;
  [Symbol.dispose](): void;
}

/** A process that uses a mount. */
export interface MountUser {
  pid: number;
  command: string;
  /** What it uses: "cwd", "root", "exe", "file /path", "map /path". */
  what: string;
}

/** Counters of a host mount. */
export type MountCounters = Record<string, number>;

export declare class HostMount {
  private constructor();
  readonly path: string;
  /** False once it was unmounted or its connection ended. */
  readonly alive: boolean;
  /** EBUSY when it is in use, unless `force` (lazy unmount, then abort after a grace time). */
  unmount(options?: { force?: boolean }): Promise<void>;
  users(): Promise<MountUser[]>;
  counters(): MountCounters;
}

/** A devdev mount found on this host. */
export interface FoundMount {
  path: string;
  /** Whether somebody answers on it. */
  alive: boolean;
}
export declare function hostMounts(): Promise<FoundMount[]>;
/** Removes what is left of a mount whose daemon is gone; false when there is none at `path`. */
export declare function clearDeadMount(path: string): Promise<boolean>;
export declare function whoUses(path: string): Promise<MountUser[]>;
/** Path of the helper binary (DEVDEV_HELPER overrides). */
export declare function helperPath(): string;

/** A frozen tree. Disposed explicitly, else when it is collected. */
export declare class Tree implements Disposable {
  private constructor();
  /** The same tree by its process-wide number, made by any thread; a reference of its own. */
  static attach(handle: number): Tree;
  /** From the export format; a damaged or hostile file is refused and changes nothing. */
  static import(
    source: string | Uint8Array,
    options?: { owner?: { uid: number; gid: number } },
  ): Promise<Tree>;
  readonly handle: number;
  /** Bytes allocated, and inodes. */
  readonly bytes: number;
  readonly inodes: number;
  /** Of a tree that `freeze` made: how long operations were held up. */
  readonly pauseNs: number;
  /** Lets reads of this tree fetch blocks through the engine's needs (trees from a store). */
  loadThrough(vfs: Vfs): this;
  /** 64 hex digits; equal trees have equal ids. */
  contentId(): Promise<string>;
  /** What changed from this tree to `other`, in path order. */
  diff(other: Tree): Promise<DiffEntry[]>;
  readFile(path: PathArgument): Promise<Buffer>;
  readlink(path: PathArgument): Promise<Buffer>;
  /** Writes the export format to a new file or to an open descriptor. */
  exportTo(target: string | number, onProgress?: (bytesDone: number) => void): Promise<void>;
  toBytes(): Promise<Buffer>;
  dispose(): void;
  [Symbol.dispose](): void;
}

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

/**
 * Brings what the store lacks of a tree out in batches, hashed and compressed off this thread. In this order: `hash`, `setMissing`, `blocks` until empty, `pages` until
 * empty, the store's commit with `root`, `committed`.
 */
export declare class PersistJob implements Disposable {
  private constructor();
  /** `batchBytes`: the size of the buffer that batches are packed into (default 16 MiB). */
  static start(tree: Tree, options?: { batchBytes?: number }): PersistJob;
  /** Ids of the blocks that the store may lack, 32 bytes each, in one array. */
  hash(pace?: Pace): Promise<Uint8Array>;
  /** Which of them it lacks: what `BlockStore.missing` answered. */
  setMissing(bitmap: Uint8Array): void;
  /** Blocks to come, and their bytes before packing. */
  left(): { blocks: number; bytes: number };
  /** The next batch of missing blocks; empty when all were given. Its `data` is valid until the next call. */
  blocks(pace?: Pace): Promise<StoreObject[]>;
  /** The next batch of pages, children before parents; empty when all were given. */
  pages(): Promise<StoreObject[]>;
  /** After the last page: the id of the tree's own page, for a checkpoint or snapshot row. */
  root(): Uint8Array;
  /** After the commit that made it durable and referred to: notes in the tree that the store has all of it. */
  committed(): void;
  /** After a commit that failed: `setMissing` comes next. */
  rewind(): void;
  /** Lets the job go; without `committed` nothing is noted. */
  close(): void;
  [Symbol.dispose](): void;
}

/** Builds a tree from the store's pages (blocks come later, as needs). */
export declare class TreeLoader implements Disposable {
  private constructor();
  /** With a `reference` (such as the live state, frozen) the tree shares with it what is equal. */
  static start(rootId: Uint8Array, options?: { reference?: Tree }): TreeLoader;
  /** Ids of the pages that are wanted now; empty when the tree is complete. */
  wanted(): Uint8Array[];
  /** One page; throws when the bytes are not what the id says. */
  supply(page: StoreObject): void;
  /** The tree, checked as a whole. */
  finish(): Promise<Tree>;
  close(): void;
  [Symbol.dispose](): void;
}

/** What a page refers to: ids of 32 bytes each. Throws when it is none. (The store's ObjectCodec.) */
export declare function pageReferences(page: Omit<StoreObject, "id">): {
  pages: Uint8Array;
  blocks: Uint8Array;
};
/** Whether the bytes are the page, or the block, of this id. */
export declare function verifyPage(page: StoreObject): boolean;
export declare function verifyBlock(block: StoreObject): boolean;

export type Need = { kind: "block"; hash: Uint8Array } | { kind: "snapshot"; name: Buffer };

/** Answers the needs of one engine, in the thread that called `serveNeeds`. */
export interface NeedsServer extends Disposable {
  /** Verified against the hash in native code; a mismatch fails the need with EIO. */
  supplyBlock(block: StoreObject): void;
  supplySnapshot(name: Buffer, tree: Tree): void;
  /** `code`: ENOENT, EIO ... */
  fail(need: Need, code: string): void;
  close(): void;
}
/**
 * Makes the calling thread (a worker) the one that answers what the engine `handle` needs from the store. `serve` is
 * called with batches; it answers through the returned server, now or later. Without an answer requests fail with EIO
 * after 30 s. Does not keep the thread alive.
 */
export declare function serveNeeds(
  handle: number,
  serve: (needs: Need[], server: NeedsServer) => void,
): NeedsServer;
