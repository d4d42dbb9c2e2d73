// What the writer does for forks and merges: rows only. A fork begins with a tree that the store
// has as a whole, so it copies nothing, and it is durable with one transaction, which also notes it
// in the history of its source.

import {
  type Checkpoint,
  type NewEvent,
  type NewWorkspace,
  type Store,
  StoreError,
} from "@devdev/store";

import { numberedFrom } from "./inode-numbers.js";
import type { Forked, ForkPoint, GoingBack } from "./interface.js";
import { ADDED } from "./persist.js";

/** Makes the workspace of `row`, with what it has in common with its source and all before that. */
export function fork(store: Store, row: NewWorkspace, point: ForkPoint): Forked {
  const { metadata } = store;
  return store.transaction(() => {
    const source = metadata.workspace(point.workspace);
    const root = rootOf(store, point);
    if (!source || !root) throw gone(point.workspace);
    const checkpoint = { root, at: row.createdAt };
    metadata.createWorkspace(row);
    metadata.setCheckpoint(row.id, checkpoint);
    for (const base of metadata.bases(source.id)) {
      // What its source had merged by then it has, too.
      const isOlder = point.sequence === undefined || base.at <= point.at;
      if (base.kind === "fork" || isOlder) metadata.setBase({ ...base, workspace: row.id });
    }
    const { id: other, name } = source;
    metadata.setBase({ workspace: row.id, other, name, kind: "fork", root, at: point.at });
    metadata.history.addEvent(startOf(row, { id: other, name }));
    const detail = { other: { id: row.id, name: row.name } };
    const event = metadata.history.addEvent({ ...point.event, workspace: other, detail });
    return { checkpoint, event };
  });
}

/** How the history of a fork begins: without a state, which is that of its base. */
function startOf(
  { id: workspace, createdAt: at }: NewWorkspace,
  other: { id: string; name: string },
): NewEvent {
  return { workspace, kind: "start", at, detail: { other } };
}

/** Notes that `workspace` has all that the checkpoint of `other` has. */
export function noteMerge(store: Store, workspace: string, other: string, at: number): void {
  const { metadata } = store;
  store.transaction(() => {
    const source = metadata.workspace(other);
    if (!source?.checkpoint) throw gone(other);
    const { root } = source.checkpoint;
    metadata.setBase({ workspace, other, name: source.name, kind: "merge", root, at });
  });
}

/**
 * A workspace goes back, perhaps to before merges. `protect` hears of the root before anything
 * refers to it.
 */
export function setCheckpoint(
  store: Store,
  workspace: string,
  checkpoint: Checkpoint,
  { mergesUntil, nextIno = 0 }: GoingBack,
  protect: (ids: Uint8Array) => void,
): void {
  const { metadata } = store;
  store.transaction(() => {
    const { root, added } = numberedFrom(metadata, checkpoint.root, nextIno);
    protect(root);
    if (added > 0) metadata.setCounter(ADDED, metadata.counter(ADDED) + added);
    metadata.setCheckpoint(workspace, { ...checkpoint, root });
    if (mergesUntil !== undefined) metadata.removeMerges(workspace, mergesUntil);
  });
}

function rootOf({ metadata }: Store, { workspace, sequence }: ForkPoint): Uint8Array | undefined {
  if (sequence === undefined) return metadata.workspace(workspace)?.checkpoint?.root;
  return metadata.snapshots(workspace).find((row) => row.sequence === sequence)?.root;
}

function gone(workspace: string): StoreError {
  const message = `workspace ${workspace} has been removed meanwhile`;
  return new StoreError("ERR_STORE_NOT_FOUND", message);
}
