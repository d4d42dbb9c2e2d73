// What the workers of a store are asked: the writer, which owns the only writing connection, the
// reader, which brings back blocks and trees, the checker, which is there for one check, and the
// copier, which is there for one long log. Types only; both sides of the thread boundary share
// them.

import type { StoreCheck, StoreRepair, StoreStats } from "@devdev/protocol";
import type {
  LogPosition,
  BaseRow,
  Checkpoint,
  CollectionResult,
  Damage,
  EventRow,
  Measured,
  NewEvent,
  NewSnapshot,
  NewWorkspace,
  OpenTurn,
  SnapshotRow,
  WorkspaceChange,
  WorkspaceRow,
} from "@devdev/store";

export interface PersistRequest {
  /** Number of the frozen tree; the caller keeps it alive until the answer. */
  tree: number;
  workspace: string;
  /** Milliseconds since the epoch. */
  at: number;
  /** Also a snapshot row, in the same transaction. */
  snapshot?: Omit<NewSnapshot, "root" | "workspace">;
  /** With a snapshot: the root of another tree that becomes the checkpoint in its place. */
  checkpoint?: Uint8Array;
  /** With it: the workspace goes back to what it was then, and has nothing of later merges. */
  mergesUntil?: number;
  /** With a snapshot: the event that it belongs to, also in the same transaction. */
  event?: SnapshotEvent;
  /** At most a quarter of a core, until `hurry`. */
  background?: boolean;
}

/** Of a checkpoint that is an older state. */
export interface GoingBack {
  /** It becomes what it was then, and has nothing of later merges. */
  mergesUntil?: number;
  /** All inode numbers below this one have been given out meanwhile. */
  nextIno?: number;
}

/** An event of which the store knows the snapshot; `ends`: the open turn that it is the end of. */
export type SnapshotEvent = Omit<NewEvent, "workspace" | "snapshot" | "state"> & { ends?: number };

export interface PersistResult {
  root: Uint8Array;
  snapshot?: SnapshotRow;
  event?: EventRow;
  /** Bytes that the store did not have. */
  bytesAdded: number;
  /** Bytes of all objects now. */
  storeBytes: number;
}

export interface StoreStatistics {
  /** Bytes in blocks and pages, as of the last collection and what was added since. */
  bytes: number;
  /** Bytes added since the last collection. */
  added: number;
  collecting: boolean;
}

export type ListedWorkspace = WorkspaceRow & {
  snapshots: number;
  /** What it was forked from was called so. */
  forkOf?: string;
};

/** What a fork begins with: a snapshot of a workspace, or the state that it comes back to. */
export interface ForkPoint {
  workspace: string;
  /** Without it: the checkpoint. */
  sequence?: number;
  /** When that state was the live one, milliseconds since the epoch. */
  at: number;
  /** What the history of that workspace says of it; which fork it is is added. */
  event: Omit<NewEvent, "workspace" | "detail">;
}

export interface Forked {
  checkpoint: Checkpoint;
  /** Of the source. */
  event: EventRow;
}

export interface WriterCalls {
  /** Answers when the store is open. */
  ready(): void;
  createWorkspace(row: NewWorkspace): void;
  /** A workspace that begins with what is kept of another one. */
  fork(row: NewWorkspace, point: ForkPoint): Forked;
  /** The checkpoint of `other` is what both have in common now. */
  noteMerge(workspace: string, other: string, at: number): void;
  updateWorkspace(id: string, change: WorkspaceChange): void;
  removeWorkspace(id: string): boolean;
  removeSnapshot(workspace: string, sequence: number): boolean;
  removeSnapshots(workspace: string, sequences: readonly number[]): number;
  /** A collection keeps what this root reaches, until as many `letGo`. */
  hold(root: Uint8Array): void;
  letGo(root: Uint8Array): void;
  /** The most bytes that the store should have; null: no limit. Undefined changes nothing. */
  limit(bytes: number | null | undefined): number | undefined;
  /** An engine whose open files may need blocks that no checkpoint reaches. */
  attend(engine: number): void;
  forget(engine: number): void;
  persist(request: PersistRequest): PersistResult;
  /** What is persisted in the background for this workspace now has somebody waiting for it. */
  hurry(workspace: string): void;
  /** Nobody wants any more what is persisted for this workspace: it fails with ECANCELED. */
  giveUp(workspace: string): void;
  setCheckpoint(workspace: string, checkpoint: Checkpoint, back?: GoingBack): void;
  /** Repairs what a check found; `open`: workspaces whose live state is in memory. */
  repair(
    damage: Damage,
    options: { dryRun: boolean; aside: string; open: readonly string[] },
  ): Omit<StoreRepair, "durationMs" | "ok">;
  /** Survives the process at once, a power loss with the next durable commit. */
  addEvent(row: NewEvent, ends?: number): EventRow;
  openTurn(workspace: string, detail: Record<string, unknown>): OpenTurn;
  /** Collects garbage now. */
  collect(): CollectionResult;
  statistics(): StoreStatistics;
  /** After what is under way; copies the log into the database. */
  close(): void;
}

/** What was committed before the call is seen by it. */
export interface ReaderCalls {
  ready(): void;
  /** Each with the number of its snapshots. */
  workspaces(): ListedWorkspace[];
  workspace(id: string): WorkspaceRow | undefined;
  snapshots(workspace: string): SnapshotRow[];
  bases(workspace: string): BaseRow[];
  events(workspace: string): EventRow[];
  effects(workspace: string, number: number): unknown;
  openTurns(workspace: string): OpenTurn[];
  /** From now on answers what this engine needs, for this workspace. */
  serve(engine: number, workspace: string): void;
  leave(engine: number): void;
  /**
   * The tree of this root, sharing what it can with the tree of that number. Returns a number;
   * `took` it when attached.
   */
  load(root: Uint8Array, reference?: number): number;
  took(tree: number): void;
  close(): void;
}

/** A report, and what a repair needs to know beside it. */
export type CheckedDamage = StoreCheck & { damage: Damage };

export interface CheckerCalls {
  /** Bytes that a collection would keep and give back if these snapshots were removed. */
  measure(without: ReadonlyArray<{ workspace: string; sequence: number }>): Measured;
  /** The store as of one moment; other threads go on. */
  check(deep: boolean): CheckedDamage;
  stats(): StoreStats;
}

export interface CopierCalls {
  /** The size of the log, all of which is in the database now; undefined when a part is not. */
  copy(): LogPosition | undefined;
}
