// devdev log, devdev show, devdev autosnapshot.

import { receive, receiveDiff } from "@devdev/client";
import {
  type Autosnapshot,
  type DiffStat,
  type EffectTotals,
  gitPath,
  type HistoryEvent,
  pathBytes,
  type ShownPiece,
  type Turn,
} from "@devdev/protocol";
import { diffJson } from "../diff-json.js";
import { UsageError } from "../failure.js";
import { drawGraph } from "../graph.js";
import { pour } from "../pour.js";
import { duration, line, lines, printJson, size, time, write } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";
import { entryLine, printStats } from "./diff.js";

const LONGEST_COMMAND = 60;

export async function log(options: GlobalOptions & { lines?: number }): Promise<void> {
  using session = await Session.open(options);
  const { id: workspace } = await session.workspace();
  const { lines: limit } = options;
  const wanted = { workspace, ...(limit !== undefined && { limit }) };
  const events = await session.call("history/log", wanted);
  if (options.json) return printJson(events);
  if (events.length === 0) {
    return line(
      "nothing has happened yet: take a snapshot, or record a command with `devdev exec --snapshot`",
    );
  }
  const drawn = drawGraph(events.toReversed(), markOf);
  const width = Math.max(...drawn.map(({ line: graph }) => graph.length));
  for (const { event, joins, line: graph } of drawn) {
    if (joins !== undefined) line(joins);
    const now = event.current ? "  <- here" : "";
    const about = [String(event.number).padStart(3), time(event.at), event.kind.padEnd(8)];
    line(`${graph.padEnd(width)}  ${about.join("  ")}  ${said(event)}${now}`.trimEnd());
  }
}

export async function show(
  turn: string | undefined,
  options: GlobalOptions & { stat?: boolean; patch?: boolean; binary?: boolean },
): Promise<void> {
  const { stat, patch, binary, json } = options;
  using session = await Session.open(options);
  const { id: workspace } = await session.workspace();
  const number = turn === undefined ? undefined : numberOf(turn);
  if ((patch || binary) && !json) {
    const wanted = { event: number ?? "last", ...(binary && { binary }) } as const;
    await session.run((signal) =>
      pour(receive({ kind: "patch", workspace, ...wanted }, { signal })),
    );
    return;
  }
  const wanted = {
    ...(number !== undefined && { turn: number }),
    ...(stat && { stat }),
    ...(patch && { patch }),
    ...(binary && { binary }),
  };
  await session.run(async (signal, report) => {
    report("comparing");
    const pieces = receiveDiff({ kind: "show", workspace, ...wanted }, { signal });
    if (json) {
      const has = { stat: stat === true, patch: patch === true || binary === true };
      for await (const text of diffJson(pieces, has)) await write(text);
    } else await printShown(pieces, { stat: stat === true, wipe: () => session.wipe() });
  });
}

async function printShown(
  pieces: AsyncIterable<ShownPiece>,
  { stat, wipe }: { stat: boolean; wipe: () => void },
): Promise<void> {
  const all: DiffStat[] = [];
  let more = 0;
  for await (const { event, entries = [], stats = [] } of pieces) {
    wipe();
    if (event) printHead(event);
    more += event?.more ?? 0;
    all.push(...stats);
    if (!stat) await lines(entries.map((entry) => entryLine(entry, { sizes: true })));
  }
  if (stat) printStats(all);
  if (more > 0) line(`... and ${more} more`);
}

export async function autosnapshot(
  when: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  using session = await Session.open(options);
  const { id: workspace, name } = await session.workspace();
  const settings = when === undefined ? {} : { autosnapshot: when as Autosnapshot };
  const { autosnapshot: set } = await session.call("workspace/configure", {
    workspace,
    ...settings,
  });
  if (options.json) return printJson({ autosnapshot: set });
  const what =
    set === "exec" ? "every command is recorded" : "only what `exec --snapshot` runs is recorded";
  line(`autosnapshot of workspace ${name}: ${set} (${what})`);
}

/** The number of an event, as the log shows it. */
export function numberOf(text: string): number {
  if (/^#?\d+$/.test(text)) return Number(text.replace("#", ""));
  throw new UsageError(`${text}: the number of an event is needed, as \`devdev log\` shows them`);
}

/** Undo and redo of everything make no state. */
function markOf({ kind, current, snapshot, paths }: HistoryEvent): string | undefined {
  if (current) return "@";
  const moved = (kind === "undo" || kind === "redo") && paths === undefined;
  if (kind === "start") return "*";
  return moved || snapshot === undefined ? undefined : "*";
}

/** What is to be said of an event on one line. */
function said(event: HistoryEvent): string {
  const { kind, turn, snapshot, parent, steps = 1, other, paths } = event;
  if (turn) return `${howItEnded(turn)}  ${totals(turn.effects)}  ${shorter(commandLine(turn))}`;
  const named = snapshot?.name ?? snapshot?.message ?? "";
  if (paths) return named === "" ? paths.map((path) => gitPath(path)).join(" ") : named;
  if (kind === "undo" || kind === "redo" || kind === "restore") {
    const to = parent === undefined ? "" : `to ${parent}`;
    return `${to}${steps > 1 ? ` (${steps} steps)` : ""} ${kind === "restore" ? named : ""}`.trim();
  }
  if (other) return other.name;
  if (event.automatic) return named === "" ? "(automatic)" : `(${named})`;
  return named === "" ? (snapshot?.id.slice(0, 12) ?? "") : named;
}

function printHead(event: HistoryEvent): void {
  const { turn } = event;
  line(`${event.kind} ${event.number}, ${time(event.at)}`);
  if (!turn) return line(said(event));
  line(`command:  ${commandLine(turn)}`);
  line(`in:       ${turn.cwd}`);
  line(`ended:    ${howItEnded(turn)} after ${duration(turn.durationMs)}`);
  const { effects } = turn;
  if (effects) {
    const bytes = `${size(effects.oldBytes)} before, ${size(effects.newBytes)} after`;
    line(`effects:  ${totals(effects)}  (${bytes})`);
  }
  if (turn.overlapping) {
    line("          other commands or restores came in between: not all of it need be its own");
  }
}

function howItEnded({ exitCode, signal, timedOut, interrupted }: Turn): string {
  if (interrupted) return "interrupted";
  if (timedOut) return "timed out";
  return signal === undefined ? `exit ${exitCode ?? "?"}` : signal;
}

/** "+2 ~1 -0", and what was renamed. */
function totals(effects: EffectTotals | undefined): string {
  if (!effects) return "?";
  const { added, changed, removed, renamed } = effects;
  if (added + changed + removed + renamed === 0) return "no changes";
  return `+${added} ~${changed} -${removed}${renamed > 0 ? ` >${renamed}` : ""}`;
}

function commandLine({ argv }: Turn): string {
  return argv
    .map((word) => {
      const text = pathBytes(word).toString();
      return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
    })
    .join(" ");
}

function shorter(text: string): string {
  return text.length > LONGEST_COMMAND ? `${text.slice(0, LONGEST_COMMAND - 3)}...` : text;
}
