// What a command did to files: how much in all, and a part of it by name, for when the snapshots
// are gone. Counted as it comes, because a command may remove millions.

import type { DiffEntry, EffectTotals } from "@devdev/protocol";

/** Effects that are noted at most. */
const MOST_NOTED = 1000;

/** What is noted of effects beside their totals. */
export interface NotedEffects {
  entries: DiffEntry[];
  more: number;
}

const COUNTED = {
  added: "added",
  modified: "changed",
  removed: "removed",
  renamed: "renamed",
} as const;

export async function effectsOf(
  pieces: Iterable<DiffEntry[]> | AsyncIterable<DiffEntry[]>,
): Promise<{ totals: EffectTotals; noted: NotedEffects | undefined }> {
  const totals = { added: 0, changed: 0, removed: 0, renamed: 0, oldBytes: 0, newBytes: 0 };
  const entries: DiffEntry[] = [];
  let count = 0;
  for await (const some of pieces) {
    for (const entry of some) {
      const { kind, fileKind, oldFileKind = fileKind, oldSize = 0, newSize = 0 } = entry;
      totals[COUNTED[kind]] += 1;
      if (oldFileKind === "file") totals.oldBytes += oldSize;
      if (fileKind === "file") totals.newBytes += newSize;
    }
    if (entries.length < MOST_NOTED) entries.push(...some.slice(0, MOST_NOTED - entries.length));
    count += some.length;
  }
  return { totals, noted: count === 0 ? undefined : { entries, more: count - entries.length } };
}
