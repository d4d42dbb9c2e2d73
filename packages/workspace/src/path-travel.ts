// Making single paths what they were: of a snapshot, or before what one command did to them. The
// tree that comes of it is put together and kept first, then it becomes the live state in one step.

import { DevdevError } from "@devdev/errno";
import { pathOf } from "@devdev/protocol";
import type { RestoreOptions, RestoreResult, TravelResult, UndoOptions } from "@devdev/protocol";
import type { EventRow } from "@devdev/store";
import type { GraftPath, Tree } from "@devdev/vfs";

import { passPhase } from "./fault.js";
import { findEvent, removed, sidesOf } from "./history-view.js";
import { freeze } from "./live-state.js";
import { findSnapshot } from "./snapshot-names.js";
import type { Timeline, TimelineParts } from "./timeline.js";
import type { Saved, Travel } from "./travel.js";
import {
  checked,
  concerns,
  listed,
  type Paths,
  refuseChanged,
  reversed,
  select,
} from "./turn-paths.js";
import type { NotedEffects } from "./effects.js";

/** So often it is tried without losing what others write meanwhile. */
const MOST_TRIES = 5;

/** What is to be as in which tree, and what is said of it. */
interface Grafting {
  source: Tree;
  paths: GraftPath[];
  kind: "restore" | "undo";
  message: string;
  detail: Record<string, unknown>;
  options: RestoreOptions;
}

interface Arrived {
  saved: Saved;
  id: string;
  to: number;
  filesChanged: number;
}

export class PathTravel {
  readonly #parts: TimelineParts;
  readonly #timeline: Timeline;
  readonly #travel: Travel;

  constructor(parts: TimelineParts, timeline: Timeline, travel: Travel) {
    this.#parts = parts;
    this.#timeline = timeline;
    this.#travel = travel;
  }

  /** These paths, and what is below them, as they are in a snapshot. */
  restore(ref: string | number, paths: Paths, options: RestoreOptions): Promise<RestoreResult> {
    const started = performance.now();
    const asked = checked(paths);
    return this.#timeline.alone(async () => {
      const target = findSnapshot(await this.#timeline.snapshots(), ref);
      using source = await this.#timeline.load(target);
      const from = target.name ?? `#${target.sequence}`;
      const { saved, id, filesChanged } = await this.#go({
        source,
        paths: asked.map((path) => ({ path, shallow: false })),
        kind: "restore",
        message: `${listed(asked)} from ${from}`,
        detail: { paths: asked.map(pathOf) },
        options,
      });
      return { id, before: saved.info, filesChanged, durationMs: performance.now() - started };
    });
  }

  /** Takes back what one command did to these paths. */
  undo(paths: Paths, { turn, force = false, ...options }: UndoOptions): Promise<TravelResult> {
    const started = performance.now();
    const asked = checked(paths);
    return this.#timeline.alone(async () => {
      const { keeper } = this.#parts;
      const events = await keeper.history.all();
      const row =
        turn === undefined ? await this.#lastThatDid(events, asked) : findEvent(events, turn);
      const sides = sidesOf(events, row, await this.#timeline.snapshots());
      if (row.state === undefined || "gone" in sides || !sides.before) throw removed(row);
      using source = await (sides.before === "start"
        ? this.#travel.fork.beginning()
        : this.#timeline.load(sides.before));
      using after = await keeper.tree(sides.after.sequence, source);
      const effects = await source.diff(after, { withinRenamed: true });
      const selected = select(effects, asked, row);
      const [tree] = await freeze(this.#parts.vfs);
      using live = tree;
      const since = await after.diff(live);
      if (!force) refuseChanged(selected, since, row);
      const { saved, id, to, filesChanged } = await this.#go({
        source,
        paths: reversed(selected, since),
        kind: "undo",
        message: `what ${row.number} did to ${listed(asked)}`,
        detail: { paths: asked.map(pathOf), undone: row.number },
        options,
      });
      const kept = saved.added && { saved: saved.info };
      return { id, to, steps: 1, ...kept, filesChanged, durationMs: performance.now() - started };
    });
  }

  /** The newest command that did something at one of these paths, as far as it was noted. */
  async #lastThatDid(events: readonly EventRow[], paths: Buffer[]): Promise<EventRow> {
    for (const row of events.toReversed()) {
      if (row.kind !== "exec") continue;
      const noted = (await this.#parts.keeper.history.effects(row.number)) as
        | NotedEffects
        | undefined;
      if (noted && (noted.more > 0 || noted.entries.some((entry) => concerns(entry, paths)))) {
        return row;
      }
    }
    throw new DevdevError("ERR_NO_EFFECT", `no recorded command did anything to ${listed(paths)}`, {
      hint: "`devdev log` lists the commands, `devdev restore ID -- PATH` takes a path from a snapshot",
    });
  }

  async #go(grafting: Grafting): Promise<Arrived> {
    const { checkpointer, commands, vfs } = this.#parts;
    const { source, paths, options } = grafting;
    const goOn = await checkpointer.meanwhile(() => commands.makeWay(options));
    try {
      // What is refused is refused before anything is kept.
      const [tree] = await freeze(vfs);
      using live = tree;
      (await vfs.graft(live, source, paths)).dispose();
      for (let left = MOST_TRIES; ; left--) {
        const saved = await this.#travel.save(`before ${grafting.message}`);
        using before = saved.tree;
        using made = await vfs.graft(before, source, paths);
        const filesChanged = await before.countChanges(made);
        const there = await this.#switch(grafting, saved, made, left === 0);
        if (there) return { saved, ...there, filesChanged };
      }
    } finally {
      goOn();
    }
  }

  /**
   * The store comes first; an error takes everything back. Undefined: the live state was changed
   * meanwhile, and what somebody wrote elsewhere is not to be lost (`always`: it may be).
   */
  async #switch(
    { kind, message, detail }: Grafting,
    saved: Saved,
    made: Tree,
    always: boolean,
  ): Promise<{ id: string; to: number } | undefined> {
    const { checkpointer, keeper, vfs, now } = this.#parts;
    const event = await this.#timeline.eventOf(kind, detail, now());
    const described = { automatic: true, message };
    const info = await this.#timeline.keep(made, undefined, described, { made: true });
    const takeBack = async (): Promise<void> => {
      await keeper.rebase(saved.info.sequence, now(), made.nextIno);
      await keeper.removeSnapshot(info.sequence);
      await this.#timeline.publish();
    };
    try {
      passPhase("restore");
    } catch (error) {
      await takeBack();
      throw error;
    }
    try {
      checkpointer.noteRestored();
      if (always) await vfs.restore(made);
      else if (!(await vfs.restoreUnlessChanged(made, saved.changeCount))) {
        await takeBack();
        return undefined;
      }
      passPhase("restore");
    } catch (error) {
      // Either state may be live; both are kept, and the next checkpoint finds out.
      checkpointer.noteUnknown();
      throw error;
    }
    const state = { snapshot: info.sequence, state: info.id };
    const { number } = await keeper.history.add({ ...event, ...state });
    return { id: info.id, to: number };
  }
}
