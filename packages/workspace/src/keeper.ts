// Where the states of one workspace are kept: its snapshots and, if it is to outlive the process,
// its checkpoint. Separate so that a workspace in memory and one in a store differ in nothing else.

import type { SnapshotInfo } from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";

import type { EventLog } from "./event-log.js";
import type { SnapshotEvent } from "./store-service/interface.js";

/** A snapshot to be kept; its place in the sequence is the keeper's to give. */
export type NewSnapshotInfo = Omit<SnapshotInfo, "sequence">;

/** What goes with a snapshot. */
export interface AddOptions {
  event?: SnapshotEvent | undefined;
  made?: boolean;
  comeBackTo?: number;
}

/** Who decides which snapshots stay. */
export interface SnapshotOwner {
  /** Told that there is one more. */
  added(): void;
  /** Removes these, when nothing else is being done with any. */
  remove(sequences: readonly number[]): Promise<void>;
}

/** What a workspace has in common with another one. */
export interface Base {
  /** Id of the other one, and its name at that time. */
  other: string;
  name: string;
  kind: "fork" | "merge";
  /** When that state was a live one, milliseconds since the epoch. */
  at: number;
  /** The tree, sharing with `reference` what is equal; the caller disposes of it. */
  load(reference: Tree): Promise<Tree>;
}

export interface Keeper {
  owner: SnapshotOwner | undefined;
  /** Whether what it keeps outlives the process. */
  readonly durable: boolean;
  /** What happened to the workspace. */
  readonly history: EventLog;
  /** From now on the listener is told what could not be read when somebody needed it. */
  onDamage(listener: (what: string) => void): void;
  /** Oldest first. */
  snapshots(): Promise<SnapshotInfo[]>;
  /**
   * Keeps the tree as a snapshot, and as the state to come back to; or instead of it, in the same
   * step, a snapshot that is there (`comeBackTo`). `event`: what is said of it in the history.
   * `made`: the tree was not frozen from the engine.
   */
  addSnapshot(tree: Tree, info: NewSnapshotInfo, options?: AddOptions): Promise<SnapshotInfo>;
  /** Forgets a snapshot. */
  removeSnapshot(sequence: number): Promise<void>;
  /** Forgets several, all of them or none. */
  removeSnapshots(sequences: readonly number[]): Promise<void>;
  /** Keeps the tree as the state to come back to. `background`: nobody waits for it. */
  checkpoint(tree: Tree, at: number, background: boolean): Promise<void>;
  /** Somebody waits for a checkpoint that began in the background. */
  hurry(): void;
  /** The tree of a snapshot, sharing with `reference` what is equal; the caller disposes of it. */
  tree(sequence: number, reference?: Tree): Promise<Tree>;
  /**
   * Makes a snapshot the state to come back to; returns what takes that back. `nextIno`: all inode
   * numbers below it have been given out.
   */
  rebase(sequence: number, at: number, nextIno: number): Promise<() => Promise<void>>;
  /** Forks, the newest last, then merges. */
  bases(): Promise<Base[]>;
  /** This workspace has all of `tree` now, which the other one's keeper has just kept. */
  noteMerge(other: { id: string; name: string }, tree: Tree, at: number): Promise<void>;
  /** The tree of a snapshot, if it is in memory; the keeper's own. */
  treeAtHand(sequence: number): Tree | undefined;
  close(): Promise<void>;
}
