// devdev diff.

import { comparedBy, receive } from "@devdev/client";
import { type DiffEntry, type DiffStat, gitPath } from "@devdev/protocol";
import { pour } from "../pour.js";
import { line, printJson, size } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

type Wanted = GlobalOptions & {
  stat?: boolean;
  patch?: boolean;
  binary?: boolean;
  nameOnly?: boolean;
  host?: string;
  reverse?: boolean;
};

const LETTERS = { added: "A", removed: "D", modified: "M", renamed: "R" } as const;
const BAR = 40;

export async function diff(
  a: string | undefined,
  b: string | undefined,
  options: Wanted,
): Promise<void> {
  const { stat, patch, binary, host, reverse } = options;
  const compared = comparedBy(a, b, {
    ...(host !== undefined && { host }),
    ...(reverse && { reverse }),
    ...(binary && { binary }),
  });
  using session = await Session.open(options);
  const { id: workspace } = await session.workspaceAsLeft();
  if ((patch || binary) && !options.json) {
    await session.run((signal) =>
      pour(receive({ kind: "patch", workspace, ...compared }, { signal })),
    );
    return;
  }
  const wanted = { ...compared, ...(stat && { stat }), ...(patch && { patch }) };
  const result = await session.call("snapshot/diff", { workspace, ...wanted });
  if (options.json) printJson(result);
  else if (stat) printStats(result.stats ?? []);
  else if (options.nameOnly) result.entries.forEach(({ path }) => line(gitPath(path)));
  else result.entries.forEach((entry) => printEntry(entry));
}

/** One difference on one line; `sizes`: also how large a file was and is. */
export function printEntry(entry: DiffEntry, { sizes = false } = {}): void {
  const slash = entry.fileKind === "directory" ? "/" : "";
  const path = `${gitPath(entry.path)}${slash}`;
  const from = entry.oldPath === undefined ? "" : `${gitPath(entry.oldPath)}${slash} -> `;
  const detail =
    entry.kind === "modified" && !entry.changed.includes("content")
      ? ` (${entry.changed.join(", ")})`
      : "";
  line(`${LETTERS[entry.kind]} ${from}${path}${detail}${sizes ? sizesOf(entry) : ""}`);
}

function sizesOf({ fileKind, oldFileKind = fileKind, oldSize, newSize }: DiffEntry): string {
  const before = oldFileKind === "file" && oldSize !== undefined ? size(oldSize) : undefined;
  const after = fileKind === "file" && newSize !== undefined ? size(newSize) : undefined;
  if (before === undefined && after === undefined) return "";
  if (before === undefined || after === undefined || before === after) {
    return `  ${before ?? after}`;
  }
  return `  ${before} -> ${after}`;
}

export function printStats(stats: DiffStat[]): void {
  const width = Math.max(0, ...stats.map((s) => gitPath(s.path).length));
  const most = Math.max(1, ...stats.map((s) => s.added + s.removed));
  let [added, removed] = [0, 0];
  for (const stat of stats) {
    const scale = (n: number): number =>
      n === 0 ? 0 : Math.max(1, Math.round((n * Math.min(BAR, most)) / most));
    const bar = stat.binary
      ? "binary"
      : `${stat.added + stat.removed} ${"+".repeat(scale(stat.added))}${"-".repeat(scale(stat.removed))}`;
    line(` ${gitPath(stat.path).padEnd(width)} | ${bar}`);
    added += stat.added;
    removed += stat.removed;
  }
  const files = `${stats.length} ${stats.length === 1 ? "file" : "files"} changed`;
  line(` ${files}, ${added} insertions(+), ${removed} deletions(-)`);
}
