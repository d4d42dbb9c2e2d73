// A difference as it comes: a part of the entries, of the counts or of the patch at a time, because
// there may be millions of them.

import { pathOf } from "./byte-path.js";
import type { DiffEntry, DiffOptions, DiffResult, DiffStat } from "./diff.js";
import type { ShownEvent } from "./history.js";
import type { MergeConflict } from "./workspace-branch.js";

/** One of the three; entries come first, then counts, then the patch. */
export interface DiffPiece {
  entries?: DiffEntry[];
  stats?: DiffStat[];
  patch?: Uint8Array;
}

/** What an event changed: the event comes first, alone. */
export interface ShownPiece extends DiffPiece {
  event?: Omit<ShownEvent, keyof DiffResult>;
}

/** A merge: what was changed, then conflicts. */
export interface MergePiece {
  entries?: DiffEntry[];
  conflicts?: MergeConflict[];
}

/** An event with all that it changed. */
export async function gatherShown(
  pieces: AsyncGenerator<ShownPiece>,
  options: Pick<DiffOptions, "stat" | "patch" | "binary">,
): Promise<ShownEvent> {
  const first = await pieces.next();
  const event = first.done ? undefined : first.value.event;
  if (!event) throw new Error("what an event changed comes behind the event");
  return { ...event, ...(await gatherDiff(pieces, options)) };
}

/** All of it; `options`: what was asked for. */
export async function gatherDiff(
  pieces: AsyncIterable<DiffPiece>,
  { stat, patch, binary }: Pick<DiffOptions, "stat" | "patch" | "binary">,
): Promise<DiffResult> {
  const result: DiffResult = { entries: [] };
  if (stat) result.stats = [];
  const text: Uint8Array[] = [];
  for await (const piece of pieces) {
    if (piece.entries) result.entries.push(...piece.entries);
    if (piece.stats) result.stats?.push(...piece.stats);
    if (piece.patch) text.push(piece.patch);
  }
  if (patch || binary) result.patch = pathOf(Buffer.concat(text));
  return result;
}
