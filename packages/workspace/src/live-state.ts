// The live state as a tree, and others beside it: what snapshots, restores and exports begin with.

import type { SnapshotInfo } from "@devdev/protocol";
import { type Tree, Vfs } from "@devdev/vfs";

import { passPhase } from "./fault.js";
import type { Keeper } from "./keeper.js";

/** Brings in what mappings of a mounted workspace hold. */
export async function flush(vfs: Vfs): Promise<void> {
  passPhase("flush");
  if (vfs.hostMount?.alive) await vfs.flush();
  passPhase("flush");
}

/** The live state with all that mappings held, and a change count that is not newer. */
export async function freeze(vfs: Vfs): Promise<[Tree, bigint]> {
  await flush(vfs);
  passPhase("freeze");
  const changeCount = vfs.changeCount();
  const tree = vfs.freeze();
  passPhase("freeze");
  return [tree, changeCount];
}

/** The tree of a snapshot, sharing with the live state what is equal. */
export async function load(vfs: Vfs, keeper: Keeper, { sequence }: SnapshotInfo): Promise<Tree> {
  using live = vfs.freeze();
  return await keeper.tree(sequence, live);
}

export function emptyTree(): Tree {
  using vfs = Vfs.create();
  return vfs.freeze();
}

/** The present state, with what has been written: a writeback mount may hold some of it. */
export async function written(vfs: Vfs): Promise<Tree> {
  if (vfs.hostMount?.writeback) await flush(vfs);
  return vfs.freeze();
}
