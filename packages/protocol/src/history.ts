// The history of a workspace: what happened to it, what commands did, and going back and forth in
// it.

import type { BytePath, DiffEntry, DiffStat } from "./diff.js";
import type { RestoreOptions, SnapshotInfo } from "./workspace.js";

/**
 * What can happen. `snapshot`: a state was kept, by somebody or by devdev itself; `exec`: a
 * recorded command (a turn) ended; `start`: what a fork began with (`other`).
 */
export type EventKind =
  | "snapshot"
  | "exec"
  | "restore"
  | "undo"
  | "redo"
  | "fork"
  | "merge"
  | "import"
  | "start";

/** How many files a command added, changed, removed and renamed. */
export interface EffectTotals {
  added: number;
  changed: number;
  removed: number;
  renamed: number;
  /** Bytes of those files before and after it. */
  oldBytes: number;
  newBytes: number;
}

/** A recorded command. */
export interface Turn {
  argv: BytePath[];
  /** Inside the workspace. */
  cwd: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  durationMs: number;
  /** Absent when it is not known how it ended. */
  exitCode?: number;
  signal?: string;
  timedOut?: true;
  /** The daemon died while it ran: its effects are those that were found afterwards. */
  interrupted?: true;
  /** Other commands, or restores, that came in between: its effects may be theirs. */
  overlapping?: true;
  /** The snapshots of the states before and after it. */
  before: number;
  after: number;
  /** Absent when the state before it was removed meanwhile. */
  effects?: EffectTotals;
}

/** Something that happened to a workspace. */
export interface HistoryEvent {
  /** From 1 on, in the order in which they ended. */
  number: number;
  kind: EventKind;
  /** Milliseconds since the epoch. */
  at: number;
  /** The event from whose state this one went on: of a restore, the one it went back to. */
  parent?: number;
  /** The state after it: `kept` says whether its snapshot is still there. */
  snapshot?: { sequence: number; id: string; kept: boolean; name?: string; message?: string };
  /** Of a snapshot: taken by devdev itself. */
  automatic?: true;
  /** Of an `exec`. */
  turn?: Turn;
  /** Of an undo or a redo: how many steps it went. */
  steps?: number;
  /** Of a restore or an undo of single paths: which ones, and of which turn. */
  paths?: BytePath[];
  undone?: number;
  /** Of a fork or a merge: the other workspace. */
  other?: { id: string; name: string };
  /** It made the state that is the present one, if nothing was changed since. */
  current?: true;
}

export interface LogOptions {
  /** Only so many, the newest. */
  limit?: number;
}

/** What `exec` says of a command that was recorded. */
export interface RecordedTurn {
  /** The number of its event. */
  number: number;
  effects?: EffectTotals;
}

export interface ShowOptions {
  /** Count added and removed lines. */
  stat?: boolean;
  /** Also give a patch in git's format; `binary`: with what is in binary files. */
  patch?: boolean;
  binary?: boolean;
}

/** What a turn, or any event, changed. */
export interface ShownEvent extends HistoryEvent {
  /** What differs from the state before it. */
  entries: DiffEntry[];
  /** How many more there were: a snapshot is gone, and this is what was noted of it. */
  more?: number;
  stats?: DiffStat[];
  /** A string when it is UTF-8, else its bytes. */
  patch?: BytePath;
}

export interface TravelOptions extends RestoreOptions {
  /** Default 1. */
  steps?: number;
}

export interface UndoOptions extends TravelOptions {
  /** Takes back what one command did to these paths (and what is below them), nothing else. */
  paths?: readonly (string | Buffer)[];
  /** With paths: the number of its event; default: the last one that changed something. */
  turn?: number;
  /** With paths: also where something was changed again since. */
  force?: boolean;
}

/** What undo and redo report. */
export interface TravelResult {
  /** The id of the state that is live now. */
  id: string;
  /** The event whose state that is. */
  to: number;
  steps: number;
  /** The snapshot that was taken because the state before it was in none. */
  saved?: SnapshotInfo;
  filesChanged: number;
  durationMs: number;
}
