// Forks and merges of workspaces, as the Workspace interface and the protocol have them.

import type { BytePath, DiffEntry } from "./diff.js";
import type { SnapshotInfo } from "./workspace.js";

export interface ForkOptions {
  /** The snapshot to begin with: id, name, `#n` or -n; default: the live state. */
  from?: string | number;
}

/**
 * What is done about conflicts: take the target's side, take the fork's, or write both into the
 * files. Without it a merge with conflicts changes nothing.
 */
export type ConflictResolution = "ours" | "theirs" | "markers";

export interface MergeOptions {
  resolve?: ConflictResolution;
  /** Refuse when the target itself was changed since both had a state in common. */
  firstWins?: boolean;
  /** Change nothing; say what would be done. */
  dryRun?: boolean;
  /** Pause exec's processes in the target meanwhile. */
  live?: boolean;
  /** Kill exec's processes in the target first. */
  kill?: boolean;
}

/**
 * Why two changes cannot both be made: both wrote the same lines (`content`), or a file that is no
 * text (`binary`), one removed what the other changed (`removed`), they made different kinds of
 * file (`type`), changed the same attribute (`mode`, `owner`, `xattrs`, `target`), gave it two
 * names (`renamed`), or one name to two things (`name`).
 */
export type ConflictKind =
  | "content"
  | "binary"
  | "removed"
  | "type"
  | "mode"
  | "owner"
  | "xattrs"
  | "target"
  | "renamed"
  | "name";

export interface MergeConflict {
  /** In the target, where it is there; else in the fork. */
  path: BytePath;
  kind: ConflictKind;
  /** Of `removed`: who removed it. */
  removedBy?: "ours" | "theirs";
  /** Of `markers`: where the fork's version was put, when it is not in the file itself. */
  beside?: BytePath;
}

export interface MergeResult {
  /** Whether the target was changed. */
  merged: boolean;
  /** What was changed in the target, or would have been. */
  entries: DiffEntry[];
  /** Those that there were, also when they were resolved. */
  conflicts: MergeConflict[];
  /** The automatic snapshot of the state before: restore it to undo. */
  before?: SnapshotInfo;
  durationMs: number;
}
