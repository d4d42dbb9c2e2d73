// A difference between two trees as text: a patch that `git apply` takes, and counts of lines.
// Names and modes come from the engine; only what is inside of files is compared here.

import { type DiffEntry, type DiffStat, gitPath } from "@devdev/protocol";

import { binaryPatch } from "./binary.js";
import { isBinary, LINK_MODE, type Pair, type Reader, readPair } from "./sides.js";
import { countsOf, hunkBytes, hunksOf } from "./text.js";

/** Counts of added and removed lines of every file and symlink that differs. */
export async function statsOf(
  entries: readonly DiffEntry[],
  before: Reader,
  after: Reader,
): Promise<DiffStat[]> {
  const stats: DiffStat[] = [];
  for (const entry of entries) {
    const pair = await readPair(entry, before, after);
    if (!pair) continue;
    const binary = isBinary(pair.before) || isBinary(pair.after);
    const counts = countsOf(binary ? [] : await hunksOf(pair));
    stats.push({ path: entry.path, ...counts, binary });
  }
  return stats;
}

/** The patch of every file and symlink that differs, piece by piece. */
export async function* patchOf(
  entries: readonly DiffEntry[],
  before: Reader,
  after: Reader,
  { binary = false }: { binary?: boolean },
): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    const pair = await readPair(entry, before, after);
    if (pair) yield* patchOfPair(pair, binary);
  }
}

async function* patchOfPair(pair: Pair, binary: boolean): AsyncGenerator<Buffer> {
  const { before, after, entry } = pair;
  // A file that became a symlink, or the reverse, is one patch that removes and one that adds, as
  // in git.
  if (before && after && (before.mode === LINK_MODE) !== (after.mode === LINK_MODE)) {
    yield* patchOfPair({ ...pair, after: undefined }, binary);
    yield* patchOfPair({ ...pair, before: undefined }, binary);
    return;
  }
  const oldPath = before?.path ?? entry.path;
  const [a, b] = [gitPath(oldPath, "a/"), gitPath(after?.path ?? oldPath, "b/")];
  yield textLines([`diff --git ${a} ${b}`, ...headerOf(pair)]);
  const [from, to] = [before ? a : "/dev/null", after ? b : "/dev/null"];
  if (isBinary(before) || isBinary(after)) {
    if (before && after && !entry.changed.includes("content")) return;
    if (binary) yield* binaryPatch(pair);
    else yield textLines([`Binary files ${from} and ${to} differ`]);
    return;
  }
  const hunks = await hunksOf(pair);
  if (hunks.length === 0) return;
  yield textLines([`--- ${ended(from)}`, `+++ ${ended(to)}`]);
  for (const hunk of hunks) yield hunkBytes(hunk);
}

function textLines(lines: string[]): Buffer {
  return Buffer.from(`${lines.join("\n")}\n`);
}

/** Names with spaces end in a tab, as in git: patch(1) takes what is behind a space for a time. */
function ended(name: string): string {
  return name.includes(" ") ? `${name}\t` : name;
}

function headerOf({ before, after }: Pair): string[] {
  if (!before) return [`new file mode ${after?.mode ?? "100644"}`];
  if (!after) return [`deleted file mode ${before.mode}`];
  const lines =
    before.mode === after.mode ? [] : [`old mode ${before.mode}`, `new mode ${after.mode}`];
  const [old, fresh] = [gitPath(before.path), gitPath(after.path)];
  return old === fresh ? lines : [...lines, `rename from ${old}`, `rename to ${fresh}`];
}
