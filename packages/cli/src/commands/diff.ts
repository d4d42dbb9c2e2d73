// devdev diff.

import { comparedBy, receive, receiveDiff } from "@devdev/client";
import { type Against, type DiffEntry, type DiffStat, gitPath } from "@devdev/protocol";
import { diffJson } from "../diff-json.js";
import { UsageError } from "../failure.js";
import { pour } from "../pour.js";
import { line, lines, size, write } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

type Wanted = GlobalOptions & {
  stat?: boolean;
  patch?: boolean;
  binary?: boolean;
  nameOnly?: boolean;
  host?: string;
  against?: string;
  reverse?: boolean;
};

const LETTERS = { added: "A", removed: "D", modified: "M", renamed: "R" } as const;
const BAR = 40;

export async function diff(
  a: string | undefined,
  b: string | undefined,
  options: Wanted,
): Promise<void> {
  const { stat, patch, binary, host, reverse, json, nameOnly } = options;
  using session = await Session.open(options);
  const { id: workspace } = await session.workspaceAsLeft();
  const against = options.against === undefined ? undefined : await other(session, options.against);
  const compared = comparedBy(a, b, {
    ...(host !== undefined && { host }),
    ...(against && { against }),
    ...(reverse && { reverse }),
    ...(binary && { binary }),
  });
  if ((patch || binary) && !json) {
    await session.run((signal) =>
      pour(receive({ kind: "patch", workspace, ...compared }, { signal })),
    );
    return;
  }
  const wanted = { ...compared, ...(stat && { stat }), ...(json && patch && { patch }) };
  await session.run(async (signal, report) => {
    report("comparing");
    const pieces = receiveDiff({ kind: "diff", workspace, ...wanted }, { signal });
    if (json) {
      const has = { stat: stat === true, patch: patch === true || binary === true };
      for await (const text of diffJson(pieces, has)) await write(text);
      return;
    }
    const stats: DiffStat[] = [];
    for await (const { entries = [], stats: some = [] } of pieces) {
      stats.push(...some);
      if (stat) continue;
      session.wipe();
      await lines(entries.map((entry) => (nameOnly ? gitPath(entry.path) : entryLine(entry))));
    }
    if (stat) printStats(stats);
  });
}

/** The workspace and the snapshot of `WORKSPACE[:SNAPSHOT]`; names of workspaces have no colon. */
async function other(
  session: Session,
  text: string,
): Promise<Omit<Against, "workspace"> & { workspace: { id: string } }> {
  // In a path the directories before its last name may have one.
  const colon = text.indexOf(":", text.lastIndexOf("/") + 1);
  const [named, snapshot] =
    colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  if (named === "" || snapshot === "") {
    throw new UsageError(`--against ${text}: write WORKSPACE or WORKSPACE:SNAPSHOT`);
  }
  const workspace = await session.workspaceAsLeft(named);
  return { workspace, ...(snapshot !== undefined && { snapshot }) };
}

export function printEntry(entry: DiffEntry, options: { sizes?: boolean } = {}): void {
  line(entryLine(entry, options));
}

/** One difference on one line; `sizes`: also how large a file was and is. */
export function entryLine(entry: DiffEntry, { sizes = false } = {}): string {
  const slash = entry.fileKind === "directory" ? "/" : "";
  const path = `${gitPath(entry.path)}${slash}`;
  const from = entry.oldPath === undefined ? "" : `${gitPath(entry.oldPath)}${slash} -> `;
  const detail =
    entry.kind === "modified" && !entry.changed.includes("content")
      ? ` (${entry.changed.join(", ")})`
      : "";
  return `${LETTERS[entry.kind]} ${from}${path}${detail}${sizes ? sizesOf(entry) : ""}`;
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
  const width = stats.reduce((most, { path }) => Math.max(most, gitPath(path).length), 0);
  const most = stats.reduce((m, { added, removed }) => Math.max(m, added + removed), 1);
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
