// Three-way merges of trees, as the addon does them.

import * as native from "@devdev/native";
import type { ConflictResolution, MergeConflict } from "@devdev/protocol";
import { bytePath } from "./byte-path.js";
import { timeOfNs } from "./defaults.js";
import { guarded, rethrow } from "./fs/call.js";

/** What is known of the side that is not of the workspace of the base: it once merged the base. */
export interface MergedBefore {
  isOurs: boolean;
  /** From this inode number on both workspaces gave numbers out on their own. */
  apartFrom: number;
  /** That side after the merge, if it is still known: its files are followed from there. */
  tree?: { readonly handle: number } | undefined;
}

export interface TreeMerge {
  /** Without it, what is in conflict stays as it is. */
  resolve?: ConflictResolution;
  /** What theirs is called: ends the names of what is put beside ours. */
  label: string;
  /** The times of what is changed, nanoseconds since the epoch. */
  timeNs: bigint;
  mergedBefore?: MergedBefore | undefined;
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
  { resolve, label, timeNs, mergedBefore }: TreeMerge,
): Promise<TreeMerged<number>> {
  const options = {
    label: Buffer.from(label),
    time: timeOfNs(timeNs),
    ...(resolve && { resolve }),
    ...(mergedBefore && { mergedBefore: nativeBefore(mergedBefore) }),
  };
  const merging = guarded(() => native.treeMerge(base, ours, theirs, options));
  const { tree, conflicts } = await merging.catch(rethrow);
  return { tree, conflicts: conflicts.map(conflictOf) };
}

function nativeBefore({ isOurs, apartFrom, tree }: MergedBefore): native.MergedBefore {
  return { isOurs, apartFrom, ...(tree && { tree: tree.handle }) };
}

function conflictOf({ path, kind, removedBy, beside }: native.TreeConflict): MergeConflict {
  return {
    path: bytePath(path),
    kind: kind as MergeConflict["kind"],
    ...(removedBy !== undefined && { removedBy: removedBy as "ours" | "theirs" }),
    ...(beside && { beside: bytePath(beside) }),
  };
}
