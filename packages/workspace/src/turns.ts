// Recording commands as turns: a snapshot of the state before and, where something changed, of the
// state after it, and what differs between them.
//
// A turn that is under way is noted in the store, so that one whose daemon was killed is not lost:
// the next process ends it with the state that it finds. Commands that overlap share a line of
// states, each being recorded when it ends; what they did cannot be told apart, which is noted.

import { pathOf } from "@devdev/protocol";
import type {
  BytePath,
  EffectTotals,
  ExecOptions,
  ExecProcess,
  ExecWord,
  ExitStatus,
} from "@devdev/protocol";
import type { EventRow, OpenTurn } from "@devdev/store";
import type { Tree } from "@devdev/vfs";

import { effectsOf, type NotedEffects } from "./effects.js";
import { freeze } from "./live-state.js";
import type { Log } from "./parts.js";
import { type Outcome, RecordedProcess } from "./recorded-process.js";
import type { Timeline, TimelineParts } from "./timeline.js";
import { snapshotOf, type Travel } from "./travel.js";
import { walk } from "./walk.js";

const LONGEST_MESSAGE = 200;

export interface TurnParts extends TimelineParts {
  timeline: Timeline;
  travel: Travel;
  name: string;
  log?: Log | undefined;
}

/** What is known of a turn when it begins; kept while it is open, and in its event. */
interface Begun {
  argv: BytePath[];
  cwd: string;
  startedAt: number;
  /** The snapshot of the state before it, and its content id. */
  before: number;
  state: string;
}

/** One that is under way. */
interface Running {
  overlapping: boolean;
}

/** A command, and what tells of its end whether or not its output was taken. */
export type StartedProcess = ExecProcess & { readonly ended: Promise<ExitStatus> };

export class Turns {
  readonly #parts: TurnParts;
  readonly #running = new Set<Running>();
  readonly #ending = new Set<Promise<unknown>>();

  constructor(parts: TurnParts) {
    this.#parts = parts;
  }

  /** Starts a command and records it; refuses when the state before it cannot be kept. */
  async record(
    argv: readonly ExecWord[],
    { cwd = "/" }: ExecOptions,
    start: () => Promise<StartedProcess>,
  ): Promise<ExecProcess> {
    const turn = await this.#begin(argv.map(pathOf), cwd);
    const running: Running = { overlapping: this.#running.size > 0 };
    for (const other of this.#running) other.overlapping = true;
    this.#running.add(running);
    try {
      const process = await start();
      const ended = process.ended.then((status) => this.#recorded(turn, running, status));
      return new RecordedProcess(process, ended);
    } catch (error) {
      const status = { exitCode: 125, timedOut: false, durationMs: 0 };
      await this.#recorded(turn, running, status);
      throw error;
    }
  }

  /** Ends the turns that a process which died has left. */
  async recover(): Promise<void> {
    const { keeper, log, name } = this.#parts;
    for (const turn of await keeper.history.openTurns()) {
      log?.info({ workspace: name, turn: turn.detail["argv"] }, "a turn was interrupted");
      await this.#end(turn, { overlapping: false }, undefined);
    }
  }

  /** Waits until everything that has ended is recorded. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#ending);
  }

  /** In one step, so that no rule removes the state before it as one that nobody needs. */
  #begin(argv: BytePath[], cwd: string): Promise<OpenTurn> {
    const { timeline, travel, keeper, now } = this.#parts;
    return timeline.alone(async () => {
      const { info, tree } = await travel.save(`before ${commandOf(argv)}`);
      tree.dispose();
      const { sequence: before, id: state } = info;
      const begun: Begun = { argv, cwd, startedAt: now(), before, state };
      return keeper.history.openTurn({ ...begun });
    });
  }

  async #recorded(turn: OpenTurn, running: Running, status: ExitStatus): Promise<Outcome> {
    const { log, name } = this.#parts;
    const ending = this.#end(turn, running, status);
    this.#ending.add(ending);
    try {
      const { number, detail } = await ending;
      const effects = detail["effects"] as EffectTotals | undefined;
      return { turn: { number, ...(effects && { effects }) } };
    } catch (error) {
      // The command did what it did: how it ended is told all the same. What is open is ended by
      // the next process.
      log?.warn({ workspace: name, err: error }, "a turn could not be recorded");
      return { unrecorded: (error as Error).message };
    } finally {
      this.#ending.delete(ending);
      this.#running.delete(running);
    }
  }

  /** Without a status: it is not known how the command ended. */
  #end(turn: OpenTurn, running: Running, status: ExitStatus | undefined): Promise<EventRow> {
    const { timeline, keeper, vfs, now } = this.#parts;
    const begun = turn.detail as unknown as Begun;
    return timeline.alone(async () => {
      const [tree, changeCount] = await freeze(vfs);
      using after = tree;
      const id = await after.contentId();
      const effects = await this.#effects(begun, after, id);
      const events = await keeper.history.all();
      const overlapping = running.overlapping || events.some((event) => cameBetween(event, begun));
      const detail = {
        ...begun,
        ...howItEnded(status, now() - begun.startedAt),
        ...(overlapping && { overlapping: true }),
        ...(effects && { effects: effects.totals }),
      };
      const event = {
        ...(await timeline.eventOf("exec", detail, now())),
        ...(effects?.noted && { effects: effects.noted }),
      };
      const { current } = walk(events);
      const known = current?.state === id ? current : undefined;
      const found = known && snapshotOf(await timeline.snapshots(), known);
      if (found) {
        const state = { snapshot: found.sequence, state: id };
        return keeper.history.add({ ...event, ...state }, turn.id);
      }
      const described = { automatic: true, message: `after ${commandOf(begun.argv)}` };
      const more = { event: { ...event, ends: turn.id } };
      await timeline.keep(after, changeCount, described, more);
      const row = (await keeper.history.all()).at(-1);
      if (row?.kind !== "exec") throw new Error("the store kept no event");
      return row;
    });
  }

  /** Undefined when the snapshot before was removed. */
  async #effects(
    { before, state }: Begun,
    after: Tree,
    id: string,
  ): Promise<{ totals: EffectTotals; noted: NotedEffects | undefined } | undefined> {
    if (id === state) return effectsOf([]);
    const { keeper, timeline } = this.#parts;
    if (!(await timeline.snapshots()).some(({ sequence }) => sequence === before)) return undefined;
    using tree = await keeper.tree(before, after);
    return await effectsOf(tree.differences(after));
  }
}

/** Whether it moved the workspace elsewhere, or tells of another command, while this one ran. */
function cameBetween({ kind, at }: EventRow, { startedAt }: Begun): boolean {
  return at > startedAt && kind !== "snapshot" && kind !== "fork";
}

function howItEnded(status: ExitStatus | undefined, ms: number): Record<string, unknown> {
  if (status === undefined) return { durationMs: Math.max(0, ms), interrupted: true };
  const { exitCode, signal, timedOut, durationMs } = status;
  return {
    exitCode,
    durationMs: Math.round(durationMs * 1000) / 1000,
    ...(signal !== undefined && { signal }),
    ...(timedOut && { timedOut: true }),
  };
}

/** For messages: not what a shell would read. */
function commandOf(words: Begun["argv"]): string {
  const text = words.map((word) => (typeof word === "string" ? word : "?")).join(" ");
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}...` : line;
}
