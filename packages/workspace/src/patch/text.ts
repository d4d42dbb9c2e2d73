// The lines in which two texts differ, as hunks of a unified patch. Byte for byte: each byte is one
// character for the library that compares.

import { structuredPatch } from "diff";
import type { StructuredPatch, StructuredPatchHunk } from "diff";

import type { Pair, Side } from "./sides.js";

/** A pair of files that takes longer is shown as one whole replaced by the other. */
const TIMEOUT_MS = 2000;
const CONTEXT_LINES = 3;
const NO_NEWLINE = "\\ No newline at end of file";

export async function hunksOf({ before, after }: Pair): Promise<StructuredPatchHunk[]> {
  const [old, fresh] = [textOf(before), textOf(after)];
  if (old === fresh) return [];
  // With a callback it yields to others between its steps.
  const patch = await new Promise<StructuredPatch | undefined>((callback) => {
    const options = { context: CONTEXT_LINES, timeout: TIMEOUT_MS, callback };
    structuredPatch("a", "b", old, fresh, undefined, undefined, options);
  });
  return patch?.hunks ?? [replacement(old, fresh)];
}

/** How many lines were added and removed. */
export function countsOf(hunks: readonly StructuredPatchHunk[]): {
  added: number;
  removed: number;
} {
  const lines = hunks.flatMap((hunk) => hunk.lines);
  const count = (sign: string): number => lines.filter((line) => line.startsWith(sign)).length;
  return { added: count("+"), removed: count("-") };
}

export function hunkBytes(hunk: StructuredPatchHunk): Buffer {
  const { oldStart, oldLines, newStart, newLines, lines } = hunk;
  // A side without lines stands before the first one.
  const range = (start: number, count: number): string =>
    `${count === 0 ? start - 1 : start}${count === 1 ? "" : `,${count}`}`;
  const head = `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`;
  return Buffer.from(`${[head, ...lines].join("\n")}\n`, "latin1");
}

function textOf(side: Side | undefined): string {
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
