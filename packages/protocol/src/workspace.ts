// The Workspace interface: what the in-process library (@devdev/workspace) and the client of a
// daemon (@devdev/client) both implement, so that code written against one runs against the other.

import type { DiffOptions, DiffResult } from "./diff.js";
import type {
  HistoryEvent,
  LogOptions,
  ShowOptions,
  ShownEvent,
  TravelOptions,
  TravelResult,
  UndoOptions,
} from "./history.js";
import type { RetentionChange, RetentionRule } from "./retention.js";
import type { WorkspaceStats } from "./stats.js";
import type { ForkOptions, MergeOptions, MergeResult } from "./workspace-branch.js";
import type {
  ExecOptions,
  ExecProcess,
  ExecRecord,
  ExecResult,
  ExecWord,
} from "./workspace-exec.js";
import type { WorkspaceFs } from "./workspace-fs.js";

/** How a workspace is made. */
export interface WorkspaceOptions {
  /** Its name; by default made from the mount path or a random word. Unique in a data directory. */
  name?: string;
  /** Most bytes of content; default 16 GiB. Beyond it operations fail with ENOSPC. */
  maxBytes?: number;
  /** Most inodes; default 16,000,000. */
  maxInodes?: number;
  /** Offer extended attributes (default true). */
  xattrs?: boolean;
  /**
   * Keep nothing in a store: state ends with the process. Default true in process, false in a
   * daemon.
   */
  ephemeral?: boolean;
  /**
   * fsync, through the mount and of `fs`, waits until the store has what was done before. Kept with
   * the workspace; not for ephemeral ones.
   */
  durable?: boolean;
  /**
   * The kernel may keep what is written to the mount and hand it over later: faster, with weaker
   * promises (docs/SEMANTICS.md, S48 to S55). Kept with the workspace.
   */
  writeback?: boolean;
  /** How long snapshots are kept; default: for ever. Kept with the workspace. */
  retention?: RetentionRule;
  /** Which commands are recorded as turns without being asked for. Kept with the workspace. */
  autosnapshot?: Autosnapshot;
  /** Directory of the store of a persistent workspace. */
  dataDir?: string;
  /** In-process only: the clock, milliseconds since the epoch as a bigint of nanoseconds. */
  clock?: () => bigint;
  /** Owner of the root; default: this process's user. */
  uid?: number;
  gid?: number;
}

/**
 * How requests of the kernel reach the file system: read from /dev/fuse, or through buffers shared
 * with the kernel, which is two to three times faster.
 */
export type MountTransport = "classic" | "io_uring";

/** `exec`: every command, with a snapshot before and after it. */
export type Autosnapshot = "exec" | "off";

/** What can be changed of a workspace at any time. */
export interface WorkspaceSettings {
  autosnapshot?: Autosnapshot;
}

/** How a workspace is mounted at a host path. */
export interface HostMountOptions {
  /** Let other users enter (FUSE's allow_other). */
  allowOther?: boolean;
  /** How requests are to come in; default: io_uring, classic where that cannot be had. */
  transport?: MountTransport;
  /** Changes whether the workspace is durable, from now on. */
  durable?: boolean;
  /** Changes whether the kernel may keep writes back, from now on. */
  writeback?: boolean;
  /** Changes which commands are recorded, from now on. */
  autosnapshot?: Autosnapshot;
}

/** One snapshot of a workspace. */
export interface SnapshotInfo {
  /** Hash of the content, 64 hex digits: equal trees have equal ids. */
  id: string;
  /** Number within the workspace, from 1 on. */
  sequence: number;
  name?: string;
  message?: string;
  /** Taken by devdev itself, e.g. before a restore. */
  automatic: boolean;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Allocated bytes and inodes of the tree. */
  bytes: number;
  inodes: number;
}

/** A snapshot held by a caller of the library. */
export interface Snapshot extends SnapshotInfo {
  /** The export format (docs/FORMAT.md), deterministic. */
  toBytes(): Promise<Buffer>;
}

export interface SnapshotOptions {
  name?: string;
  message?: string;
}

/** What snapshot reports. */
export interface SnapshotResult extends Snapshot {
  durationMs: number;
  /** How long operations were held up by the freeze itself. */
  pauseMs: number;
  /** Files changed since the snapshot before it. */
  filesChanged: number;
}

export interface RestoreOptions {
  /** Pause exec's processes, restore, resume. */
  live?: boolean;
  /** Kill exec's processes first. */
  kill?: boolean;
  /** Only these paths, absolute within the workspace, and what is below them. */
  paths?: readonly (string | Buffer)[];
}

export interface RestoreResult {
  /** The snapshot that is live now. */
  id: string;
  /** The automatic snapshot of the state before: restore it to undo. */
  before: SnapshotInfo;
  filesChanged: number;
  durationMs: number;
}

export interface WorkspaceUsage {
  bytes: number;
  inodes: number;
  maxBytes: number;
  maxInodes: number;
  /** Bytes changed that the store does not have yet (always all of them when ephemeral). */
  dirtyBytes: number;
  /** When the last checkpoint or snapshot was durable, milliseconds since the epoch. */
  lastCheckpointAt?: number;
}

export interface StatsOptions {
  /** Begin anew behind the figures that this call gives. */
  reset?: boolean;
}

/**
 * A workspace: a tree that can be changed through `fs`, mounted at a host path, snapshotted and
 * restored.
 * Everything but `exec`, `spawn` and `shell` works unmounted. Errors of `fs` are FsError; others
 * carry a `code` too.
 */
export interface Workspace extends AsyncDisposable {
  readonly id: string;
  readonly name: string;
  readonly fs: WorkspaceFs;
  /** Where it is mounted now. */
  readonly mountPoint: string | undefined;
  /** How requests come in, while it is mounted. */
  readonly transport: MountTransport | undefined;
  /** Whether the kernel keeps writes back; unmounted, whether it may. */
  readonly writeback: boolean;
  /**
   * Mounts it; without a path at a fresh `devdev-ws-XXXX` in the temp directory. Returns the
   * absolute path.
   */
  mount(path?: string, options?: HostMountOptions): Promise<string>;
  /** EBUSY (listing who uses it) unless `force`. */
  unmount(options?: { force?: boolean }): Promise<void>;
  exec(file: ExecWord, args?: readonly ExecWord[], options?: ExecOptions): Promise<ExecResult>;
  spawn(file: ExecWord, args?: readonly ExecWord[], options?: ExecOptions): Promise<ExecProcess>;
  /** Commands started by exec and spawn that still run. */
  processes(): Promise<ExecRecord[]>;
  snapshot(options?: SnapshotOptions): Promise<SnapshotResult>;
  /** Oldest first. */
  snapshots(): Promise<Snapshot[]>;
  /**
   * Removes snapshots, all of them or none; returns those removed. What others share with them
   * stays, and what nothing refers to any more goes with the next collection.
   */
  removeSnapshots(refs: ReadonlyArray<string | number>): Promise<SnapshotInfo[]>;
  /**
   * Changes how long snapshots are kept, and applies it; without a change it only tells the rule.
   */
  retention(change?: RetentionChange): Promise<RetentionRule>;
  /** By id (a unique prefix of at least 4 digits), name, or -n (the n-th newest). */
  restore(ref: string | number, options?: RestoreOptions): Promise<RestoreResult>;
  /** What happened to it, oldest first. */
  log(options?: LogOptions): Promise<HistoryEvent[]>;
  /** What a turn changed (default: the last one), by the number of its event. */
  show(turn?: number, options?: ShowOptions): Promise<ShownEvent>;
  /** Back to the state before the last one in the log; what is in no snapshot is kept first. */
  undo(options?: UndoOptions): Promise<TravelResult>;
  /** Takes an undo back. */
  redo(options?: TravelOptions): Promise<TravelResult>;
  /** Changes settings, from now on; returns all of them. */
  configure(settings: WorkspaceSettings): Promise<Required<WorkspaceSettings>>;
  /** Between two snapshots; `b` defaults to the live state, `a` to the newest snapshot. */
  diff(a?: string, b?: string, options?: DiffOptions): Promise<DiffResult>;
  /** The patch of the same difference piece by piece, however long it is. */
  patch(a?: string, b?: string, options?: DiffOptions): AsyncGenerator<Buffer>;
  /**
   * A new workspace that begins with the live state of this one (or a snapshot of it) and shares
   * everything with it; kept where this one is. Closing it is the caller's.
   */
  fork(name?: string, options?: ForkOptions): Promise<Workspace>;
  /**
   * Makes here what was changed there since both had a state in common. Without `resolve` a merge
   * with conflicts changes nothing.
   */
  merge(fork: Workspace, options?: MergeOptions): Promise<MergeResult>;
  usage(): Promise<WorkspaceUsage>;
  /** What its host mount has served; ERR_NOT_MOUNTED when there is none. */
  stats(options?: StatsOptions): Promise<WorkspaceStats>;
  /** Makes everything done so far durable. */
  checkpoint(): Promise<void>;
  /**
   * Ends its commands, unmounts it, checkpoints it when it is persistent and drops it when it is
   * ephemeral. Of a daemon's workspace that somebody else made or mounted it only lets go.
   */
  close(): Promise<void>;
}
