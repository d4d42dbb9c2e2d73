// The history as callers see it: the log, and what one event changed.

import { DevdevError } from "@devdev/errno";
import { gatherShown } from "@devdev/protocol";
import type {
  BytePath,
  EffectTotals,
  EventKind,
  HistoryEvent,
  LogOptions,
  ShowOptions,
  ShownEvent,
  ShownPiece,
  SnapshotInfo,
  Turn,
} from "@devdev/protocol";
import type { EventRow } from "@devdev/store";

import { Comparison } from "./comparison.js";
import type { Keeper } from "./keeper.js";
import { isForks } from "./fork-start.js";
import { beginning } from "./forking.js";
import { emptyTree, load } from "./live-state.js";
import { defined } from "./parts.js";
import type { TimelineParts } from "./timeline.js";
import type { NotedEffects } from "./effects.js";
import { snapshotOf } from "./travel.js";
import { type Place, walk } from "./walk.js";

type Detail = Partial<{
  automatic: true;
  name: string;
  message: string;
  steps: number;
  paths: BytePath[];
  undone: number;
  other: { id: string; name: string };
  before: number;
  argv: BytePath[];
  cwd: string;
  startedAt: number;
  durationMs: number;
  exitCode: number;
  signal: string;
  timedOut: true;
  interrupted: true;
  overlapping: true;
  effects: EffectTotals;
}>;

export class HistoryView {
  readonly #parts: Pick<TimelineParts, "keeper" | "vfs">;

  constructor(parts: Pick<TimelineParts, "keeper" | "vfs">) {
    this.#parts = parts;
  }

  /** Oldest first. */
  async log({ limit }: LogOptions = {}): Promise<HistoryEvent[]> {
    const { keeper } = this.#parts;
    const [events, all] = await Promise.all([keeper.history.all(), keeper.snapshots()]);
    const current = walk(events).current?.number;
    const some = limit === undefined ? events : limit > 0 ? events.slice(-limit) : [];
    const kept = new Map(all.map((each) => [each.sequence, each]));
    return some.map((row) => ({
      ...eventOf(row, kept),
      ...(row.number === current && { current: true as const }),
    }));
  }

  /** What an event changed; default: the last command. */
  show(number: number | undefined, options: ShowOptions): Promise<ShownEvent> {
    return gatherShown(this.pieces(number, options), options);
  }

  /** The same as it comes: the event, then what there may be millions of. */
  async *pieces(number: number | undefined, options: ShowOptions): AsyncGenerator<ShownPiece> {
    const { keeper } = this.#parts;
    const [events, all] = await Promise.all([keeper.history.all(), keeper.snapshots()]);
    const row = findEvent(events, number);
    const event = eventOf(row, new Map(all.map((each) => [each.sequence, each])));
    const sides = row.state === undefined ? undefined : sidesOf(events, row, all);
    if (sides === undefined) {
      yield { event };
      return;
    }
    if ("gone" in sides) {
      const { entries, more } = await this.#noted(keeper, row, options);
      yield { event: { ...event, ...defined({ more }) } };
      yield { entries };
      return;
    }
    using compared = await this.#compared(sides);
    yield { event };
    yield* compared.pieces(options);
  }

  /** The states before and after an event; default: the last command. */
  async compared(number: number | undefined): Promise<Comparison> {
    const { keeper } = this.#parts;
    const [events, all] = await Promise.all([keeper.history.all(), keeper.snapshots()]);
    const row = findEvent(events, number);
    if (row.state === undefined) return Comparison.of(emptyTree(), emptyTree(), {});
    const sides = sidesOf(events, row, all);
    if ("gone" in sides) throw removed(row);
    return this.#compared(sides);
  }

  async #compared({ before, after }: Compared): Promise<Comparison> {
    const { keeper, vfs } = this.#parts;
    const tree = await load(vfs, keeper, after);
    try {
      // (Without a fork that is the empty tree.)
      const start = before === undefined || before === "start";
      const old = await (start ? beginning(keeper, tree) : keeper.tree(before.sequence, tree));
      return Comparison.of(old, tree, {});
    } catch (error) {
      tree.dispose();
      throw error;
    }
  }

  /** What was written down when the snapshots were there. */
  async #noted(
    keeper: Keeper,
    row: EventRow,
    { patch, binary, stat }: ShowOptions,
  ): Promise<Pick<ShownEvent, "entries" | "more">> {
    const noted = (await keeper.history.effects(row.number)) as NotedEffects | undefined;
    if (patch || binary || stat || (noted === undefined && row.kind !== "exec")) {
      throw removed(row);
    }
    const { entries, more } = noted ?? { entries: [], more: 0 };
    return { entries, ...(more > 0 && { more }) };
  }
}

/** The event of a number, or the last command. */
export function findEvent(events: readonly EventRow[], number: number | undefined): EventRow {
  const found =
    number === undefined
      ? events.findLast(({ kind }) => kind === "exec")
      : events.find((event) => event.number === number);
  if (found) return found;
  const last = events.at(-1)?.number;
  const hint =
    last === undefined
      ? "the history is empty: record a command with `devdev exec --snapshot`"
      : `\`devdev log\` lists them, up to ${last}`;
  const message = number === undefined ? "no command was recorded" : `there is no event ${number}`;
  throw new DevdevError("ERR_NO_EVENT", message, { hint });
}

interface Compared {
  before: SnapshotInfo | "start" | undefined;
  after: SnapshotInfo;
}

type Sides = Compared | { gone: true };

export function removed({ number }: EventRow): DevdevError {
  return new DevdevError("ERR_NO_SNAPSHOT", `a snapshot of event ${number} was removed`, {
    hint: "what the event did to files can no longer be compared",
  });
}

/**
 * The states before and after an event; before the first one is the empty tree, or what a fork
 * began with.
 */
export function sidesOf(
  events: readonly EventRow[],
  row: EventRow,
  all: readonly SnapshotInfo[],
): Sides {
  const after = snapshotOf(all, placeOf(row));
  const earlier = walk(events.slice(0, events.indexOf(row))).current;
  const { before: sequence, state } = row.detail as { before?: number; state?: string };
  const place: Place | undefined =
    sequence === undefined ? earlier : { number: 0, state: state ?? "", snapshots: [sequence] };
  const start = place && isForks(events, place.number) ? "start" : undefined;
  const before = place && (snapshotOf(all, place) ?? start);
  if (!after || (place && !before)) return { gone: true };
  return { before, after };
}

function placeOf({ number, state = "", snapshot }: EventRow): Place {
  return { number, state, snapshots: snapshot === undefined ? [] : [snapshot] };
}

function eventOf(row: EventRow, snapshots: ReadonlyMap<number, SnapshotInfo>): HistoryEvent {
  const { number, kind, at, parent, snapshot, state } = row;
  const detail = row.detail as Detail;
  const { automatic, name, message, steps, paths, undone, other } = detail;
  const kept = snapshot === undefined ? undefined : snapshots.get(snapshot);
  const named = { name: kept?.name ?? name, message: kept?.message ?? message };
  return {
    number,
    kind: kind as EventKind,
    at,
    ...defined({ parent, automatic, steps, paths, undone, other }),
    ...(snapshot !== undefined &&
      state !== undefined && {
        snapshot: { sequence: snapshot, id: state, kept: kept !== undefined, ...defined(named) },
      }),
    ...(kind === "exec" && { turn: turnOf(row, detail) }),
  };
}

function turnOf({ snapshot = 0 }: EventRow, detail: Detail): Turn {
  const { argv = [], cwd = "/", startedAt = 0, durationMs = 0, before = 0 } = detail;
  const { exitCode, signal, timedOut, interrupted, overlapping, effects } = detail;
  const ended = defined({ exitCode, signal, timedOut, interrupted, overlapping, effects });
  return { argv, cwd, startedAt, durationMs, ...ended, before, after: snapshot };
}
