// A difference between two trees as text: a unified patch that `git apply` takes, and counts of
// lines. Names and modes come from the engine; only what is inside of text files is compared here.

import { type BytePath, type DiffEntry, type DiffStat, gitPath, pathBytes } from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";
import { structuredPatch } from "diff";
import type { StructuredPatch, StructuredPatchHunk } from "diff";

/** Larger files are reported as binary ones: nobody reads their patch. */
const LARGEST_TEXT = 8 << 20;
/** git looks at as many bytes for a NUL. */
const PROBE_BYTES = 8000;
/** A pair of files that takes longer is shown as one whole replaced by the other. */
const TIMEOUT_MS = 2000;
const CONTEXT_LINES = 3;
const LINK_MODE = "120000";
const NO_NEWLINE = "\\ No newline at end of file";

/** What is on one side of an entry: undefined when there is nothing that a patch shows. */
type Side = { mode: string; content: Buffer | undefined } | undefined;

interface Pair {
  entry: DiffEntry;
  oldPath: BytePath;
  before: Side;
  after: Side;
}

/** Counts of added and removed lines of every file and symlink that differs. */
export async function statsOf(
  entries: readonly DiffEntry[],
  before: Tree,
  after: Tree,
): Promise<DiffStat[]> {
  const stats: DiffStat[] = [];
  for (const entry of entries) {
    if (!isShown(entry)) continue;
    const pair = await readPair(entry, before, after);
    const binary = isBinary(pair.before) || isBinary(pair.after);
    const lines = binary ? [] : (await hunksOf(pair)).flatMap((hunk) => hunk.lines);
    const count = (sign: string): number => lines.filter((line) => line.startsWith(sign)).length;
    stats.push({ path: entry.path, added: count("+"), removed: count("-"), binary });
  }
  return stats;
}

/** The patch of every file and symlink that differs. */
export async function patchOf(
  entries: readonly DiffEntry[],
  before: Tree,
  after: Tree,
): Promise<string> {
  const parts: string[] = [];
  for (const entry of entries) {
    if (isShown(entry)) parts.push(await patchOfPair(await readPair(entry, before, after)));
  }
  return parts.join("");
}

/**
 * Directories and special files have nothing that a patch could say, nor has a new owner or time.
 */
function isShown(entry: DiffEntry): boolean {
  if (entry.fileKind !== "file" && entry.fileKind !== "symlink") return false;
  const shown = ["content", "mode", "target", "type"] as const;
  return entry.kind !== "modified" || entry.changed.some((what) => shown.some((s) => s === what));
}

async function readPair(entry: DiffEntry, before: Tree, after: Tree): Promise<Pair> {
  const { kind, path, fileKind, oldPath = path, oldMode, newMode } = entry;
  const fresh = { path, mode: newMode, size: entry.newSize, isLink: fileKind === "symlink" };
  const sameType = !entry.changed.includes("type");
  const old = { path: oldPath, mode: oldMode, size: entry.oldSize };
  return {
    entry,
    oldPath,
    before:
      kind === "added"
        ? undefined
        : await readSide(before, { ...old, ...(sameType && { isLink: fresh.isLink }) }),
    after: kind === "removed" ? undefined : await readSide(after, fresh),
  };
}

interface SideOf {
  path: BytePath;
  mode: number | undefined;
  size: number | undefined;
  /** Undefined: to be found out. */
  isLink?: boolean;
}

async function readSide(
  tree: Tree,
  { path, mode = 0o644, size = 0, isLink }: SideOf,
): Promise<Side> {
  const bytes = pathBytes(path);
  try {
    if (isLink) return { mode: LINK_MODE, content: await tree.readlink(bytes) };
    const content = size > LARGEST_TEXT ? undefined : await tree.readFile(bytes);
    return { mode: (mode & 0o100) === 0 ? "100644" : "100755", content };
  } catch (error) {
    if (isLink !== undefined) throw error;
    // What became a file or a symlink was neither a file nor, unless that works, a symlink.
    return readSide(tree, { path, mode, size, isLink: true }).catch(() => undefined);
  }
}

function isBinary(side: Side): boolean {
  if (!side) return false;
  return side.content?.subarray(0, PROBE_BYTES).includes(0) ?? true;
}

async function patchOfPair(pair: Pair): Promise<string> {
  const { before, after } = pair;
  // A file that became a symlink, or the reverse, is one patch that removes and one that adds, as
  // in git.
  if (before && after && (before.mode === LINK_MODE) !== (after.mode === LINK_MODE)) {
    const removed = await patchOfPair({ ...pair, after: undefined });
    return removed + (await patchOfPair({ ...pair, before: undefined }));
  }
  const { entry, oldPath } = pair;
  const [a, b] = [gitPath(oldPath, "a/"), gitPath(entry.path, "b/")];
  const lines = [`diff --git ${a} ${b}`, ...headerOf(pair)];
  const [from, to] = [before ? a : "/dev/null", after ? b : "/dev/null"];
  if (isBinary(before) || isBinary(after)) {
    const differs = !before || !after || entry.changed.includes("content");
    if (differs) lines.push(`Binary files ${from} and ${to} differ`);
  } else {
    const hunks = await hunksOf(pair);
    if (hunks.length > 0) lines.push(`--- ${ended(from)}`, `+++ ${ended(to)}`);
    lines.push(...hunks.flatMap(hunkLines));
  }
  return `${lines.join("\n")}\n`;
}

/** Names with spaces end in a tab, as in git: patch(1) takes what is behind a space for a time. */
function ended(name: string): string {
  return name.includes(" ") ? `${name}\t` : name;
}

function headerOf({ entry, oldPath, before, after }: Pair): string[] {
  if (!before) return [`new file mode ${after?.mode ?? "100644"}`];
  if (!after) return [`deleted file mode ${before.mode}`];
  const lines =
    before.mode === after.mode ? [] : [`old mode ${before.mode}`, `new mode ${after.mode}`];
  if (entry.oldPath !== undefined) {
    lines.push(`rename from ${gitPath(oldPath)}`, `rename to ${gitPath(entry.path)}`);
  }
  return lines;
}

/** Byte for byte: each byte is one character here, and text again when a line is printed. */
async function hunksOf({ before, after }: Pair): Promise<StructuredPatchHunk[]> {
  const [old, fresh] = [textOf(before), textOf(after)];
  if (old === fresh) return [];
  // With a callback it yields to others between its steps.
  const patch = await new Promise<StructuredPatch | undefined>((callback) => {
    const options = { context: CONTEXT_LINES, timeout: TIMEOUT_MS, callback };
    structuredPatch("a", "b", old, fresh, undefined, undefined, options);
  });
  return patch?.hunks ?? [replacement(old, fresh)];
}

function textOf(side: Side): string {
  return side?.content?.toString("latin1") ?? "";
}

function replacement(old: string, fresh: string): StructuredPatchHunk {
  const marked = (text: string, sign: string): string[] => {
    if (text === "") return [];
    const lines = text.split("\n");
    const whole = lines.at(-1) === "";
    const shown = (whole ? lines.slice(0, -1) : lines).map((line) => `${sign}${line}`);
    return whole ? shown : [...shown, NO_NEWLINE];
  };
  const [removed, added] = [marked(old, "-"), marked(fresh, "+")];
  const count = (lines: string[]): number => lines.filter((line) => line !== NO_NEWLINE).length;
  return {
    oldStart: 1,
    oldLines: count(removed),
    newStart: 1,
    newLines: count(added),
    lines: [...removed, ...added],
  };
}

function hunkLines({
  oldStart,
  oldLines,
  newStart,
  newLines,
  lines,
}: StructuredPatchHunk): string[] {
  // A side without lines stands before the first one.
  const range = (start: number, count: number): string =>
    `${count === 0 ? start - 1 : start}${count === 1 ? "" : `,${count}`}`;
  const head = `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`;
  return [head, ...lines.map((line) => Buffer.from(line, "latin1").toString())];
}
