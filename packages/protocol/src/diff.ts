// What differs between two states, as the Workspace interface says it.

import type { Workspace } from "./workspace.js";

export type ChangeKind = "added" | "removed" | "modified" | "renamed";
export type FileKind = "file" | "directory" | "symlink" | "fifo" | "socket" | "device";

/** A path: a string when it is UTF-8, else its bytes. */
export type BytePath = string | { b64: string };

/** One difference between two trees. */
export interface DiffEntry {
  kind: ChangeKind;
  path: BytePath;
  /** Of a renamed entry: its path before. */
  oldPath?: BytePath;
  fileKind: FileKind;
  /** What it was before, where that was something else. */
  oldFileKind?: FileKind;
  /** What differs in a modified or renamed entry. */
  changed: Array<"content" | "mode" | "owner" | "mtime" | "xattrs" | "target" | "type">;
  oldSize?: number;
  newSize?: number;
  oldMode?: number;
  newMode?: number;
}

export interface DiffOptions {
  /** Also give a patch in git's format. */
  patch?: boolean;
  /** The same, with what is in binary files. */
  binary?: boolean;
  /** Compare from this directory of the host to `a` (default: the live state). */
  host?: string;
  /** Compare from a state of another workspace to `a` (default: the live state). */
  against?: Against;
  /** The other way round. */
  reverse?: boolean;
  /** Count added and removed lines. */
  stat?: boolean;
}

/** A state of another workspace: a snapshot, or (default) its live state. */
export interface Against {
  workspace: Workspace;
  snapshot?: string | number;
}

export interface DiffStat {
  path: BytePath;
  added: number;
  removed: number;
  binary: boolean;
}

export interface DiffResult {
  entries: DiffEntry[];
  stats?: DiffStat[];
  /** A string when it is UTF-8, else its bytes. */
  patch?: BytePath;
}
