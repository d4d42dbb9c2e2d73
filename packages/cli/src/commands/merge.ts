// devdev merge.

import { receiveMerge } from "@devdev/client";
import { gitPath, type MergeConflict, type MergeResult } from "@devdev/protocol";
import { jsonOf } from "../diff-json.js";
import { UsageError } from "../failure.js";
import { duration, line, shortId, write } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";
import { printEntry } from "./diff.js";

type MergeOptions = GlobalOptions & {
  into?: string;
  theirs?: boolean;
  ours?: boolean;
  markers?: boolean;
  firstWins?: boolean;
  dryRun?: boolean;
  live?: boolean;
  kill?: boolean;
};

/** There are conflicts that somebody has to look at. */
const EXIT_CONFLICTS = 3;

const WORDS: Record<MergeConflict["kind"], string> = {
  content: "both changed the same lines",
  binary: "both changed it, and it is no text",
  removed: "removed here, changed there",
  type: "of different types",
  mode: "different modes",
  owner: "different owners",
  xattrs: "different extended attributes",
  target: "different targets of a symlink",
  renamed: "renamed to different names",
  name: "one name for two things",
};

export async function merge(named: string, options: MergeOptions): Promise<number | undefined> {
  const { into, workspace } = options;
  if (into !== undefined && workspace !== undefined && into !== workspace) {
    throw new UsageError("-w and --into name the same workspace");
  }
  using session = await Session.open(options);
  const target = await session.workspaceAsLeft(into);
  const fork = await session.workspace(named);
  const resolve = (["theirs", "ours", "markers"] as const).find((way) => options[way]);
  const asked = {
    workspace: target.id,
    fork: fork.id,
    ...(resolve !== undefined && { resolve }),
    ...(options.firstWins && { firstWins: true }),
    ...(options.dryRun && { dryRun: true }),
    ...(options.live && { live: true }),
    ...(options.kill && { kill: true }),
  };
  const result = await session.run(
    (signal, report) => {
      report("merging");
      return receiveMerge(asked, { signal });
    },
    { goesOn: true },
  );
  const open = result.conflicts.length > 0 && (resolve === undefined || resolve === "markers");
  if (options.json) for (const text of jsonOf(result)) await write(text);
  else
    report(result, { fork: fork.name, target: target.name, open, dryRun: options.dryRun === true });
  return open ? EXIT_CONFLICTS : undefined;
}

interface About {
  fork: string;
  target: string;
  /** Conflicts are left for people. */
  open: boolean;
  dryRun: boolean;
}

function report(result: MergeResult, { fork, target, open, dryRun }: About): void {
  const { merged, entries, conflicts, before, durationMs } = result;
  if (merged || dryRun) entries.forEach((entry) => printEntry(entry));
  conflicts.forEach((conflict) => printConflict(conflict, merged || dryRun));
  const files = `${entries.length} ${entries.length === 1 ? "path" : "paths"}`;
  const some = `${conflicts.length} ${conflicts.length === 1 ? "conflict" : "conflicts"}`;
  if (merged) {
    line(`${fork} merged into ${target} (${files} changed, ${duration(durationMs)})`);
    if (before) line(`undo with: devdev undo, or devdev restore ${shortId(before.id)}`);
    if (open) line(`${some}: edit what is marked`);
  } else if (conflicts.length > 0 && !dryRun) {
    line(`${some}, so nothing was changed; choose --theirs, --ours or --markers`);
  } else if (dryRun) {
    line(`${files} would change, ${some}`);
  } else {
    line(`${fork} has nothing that ${target} has not`);
  }
}

/** `isMade`: what is said to be beside it is there, or would be. */
function printConflict({ path, kind, removedBy, beside }: MergeConflict, isMade: boolean): void {
  const words = removedBy === "theirs" ? "changed here, removed there" : WORDS[kind];
  const also = beside === undefined || !isMade ? "" : `; the other one is ${gitPath(beside)}`;
  line(`C ${gitPath(path)} (${words}${also})`);
}
