// A difference as it comes: a part of the entries, of the counts or of the patch at a time, because
// there may be millions of them.

import { pathOf } from "./byte-path.js";
import type { DiffEntry, DiffOptions, DiffResult, DiffStat } from "./diff.js";

/** One of the three; entries come first, then counts, then the patch. */
export interface DiffPiece {
  entries?: DiffEntry[];
  stats?: DiffStat[];
  patch?: Uint8Array;
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
