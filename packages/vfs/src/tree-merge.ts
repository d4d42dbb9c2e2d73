// Three-way merges of trees, as the addon does them.

import * as native from "@devdev/native";
import type { ConflictResolution, MergeConflict } from "@devdev/protocol";
import { bytePath } from "./byte-path.js";
import { timeOfNs } from "./defaults.js";
import { guarded, rethrow } from "./fs/call.js";

export interface TreeMerge {
  /** Without it, what is in conflict stays as it is. */
  resolve?: ConflictResolution;
  /** What theirs is called: ends the names of what is put beside ours. */
  label: string;
  /** The times of what is changed, nanoseconds since the epoch. */
  timeNs: bigint;
}

/** `T`: the tree, or its number. */
export interface TreeMerged<T> {
  tree: T;
  /** By path, also those that were resolved. */
  conflicts: MergeConflict[];
}

/** Base, ours and theirs, and then the merged tree, by their numbers. */
export async function mergedTrees(
  [base, ours, theirs]: readonly [number, number, number],
  { resolve, label, timeNs }: TreeMerge,
): Promise<TreeMerged<number>> {
  const time = timeOfNs(timeNs);
  const options = { label: Buffer.from(label), time, ...(resolve && { resolve }) };
  const merging = guarded(() => native.treeMerge(base, ours, theirs, options));
  const { tree, conflicts } = await merging.catch(rethrow);
  return { tree, conflicts: conflicts.map(conflictOf) };
}

function conflictOf({ path, kind, removedBy, beside }: native.TreeConflict): MergeConflict {
  return {
    path: bytePath(path),
    kind: kind as MergeConflict["kind"],
    ...(removedBy !== undefined && { removedBy: removedBy as "ours" | "theirs" }),
    ...(beside && { beside: bytePath(beside) }),
  };
}
