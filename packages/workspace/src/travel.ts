// Making a former state of a workspace the live one: restore, undo, redo. Each is one step of the
// history, keeps what it replaces, and leaves the state before it when it fails.

import type {
  RestoreOptions,
  RestoreResult,
  SnapshotInfo,
  TravelOptions,
  TravelResult,
} from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";

import { passPhase } from "./fault.js";
import { freeze } from "./live-state.js";
import { ForkStart, isForks } from "./fork-start.js";
import { positive } from "./parts.js";
import { findSnapshot, nameOf } from "./snapshot-names.js";
import type { Timeline, TimelineParts } from "./timeline.js";
import { changedSinceUndo, nothingTo } from "./travel-refusals.js";
import { along, type Place, unsaved, walk } from "./walk.js";

/** The live state as it is kept. */
export interface Saved {
  info: SnapshotInfo;
  /** Whether it had to be kept first. */
  added: boolean;
  /** The caller disposes of it. */
  tree: Tree;
  /** That of the live state when it was frozen. */
  changeCount: bigint;
}

/** Where to go, and what is said of it in the history. */
export interface Journey {
  /** Called when it is certain that it may be gone to. */
  target: () => Promise<SnapshotInfo>;
  tree: Tree;
  event: { kind: string; parent?: number | undefined; detail: Record<string, unknown> };
  /** Keeps the state before; what it adds is not what the store comes back to, but the target. */
  save: (comeBackTo: number) => Promise<Saved>;
  options: RestoreOptions;
}

interface Arrived {
  target: SnapshotInfo;
  saved: Saved;
  filesChanged: number;
}

export class Travel {
  readonly #parts: TimelineParts;
  readonly #timeline: Timeline;
  /** Where its history begins. */
  readonly fork: ForkStart;

  constructor(parts: TimelineParts, timeline: Timeline) {
    this.#parts = parts;
    this.#timeline = timeline;
    this.fork = new ForkStart(parts, timeline);
  }

  restore(ref: string | number, options: RestoreOptions): Promise<RestoreResult> {
    const started = performance.now();
    return this.#timeline.alone(async () => {
      const target = findSnapshot(await this.#timeline.snapshots(), ref);
      using tree = await this.#timeline.load(target);
      const message = `before the restore of ${target.name ?? target.id.slice(0, 12)}`;
      const { saved, filesChanged } = await this.#go({
        target: async () => target,
        tree,
        event: { kind: "restore", parent: await this.#eventOf(target), detail: nameOf(target) },
        save: (comeBackTo) => this.save(message, { always: true, comeBackTo }),
        options,
      });
      const durationMs = performance.now() - started;
      return { id: target.id, before: saved.info, filesChanged, durationMs };
    });
  }

  /** Back in the history; what is in no snapshot counts as a step, and is kept. */
  undo({ steps = 1, ...options }: TravelOptions): Promise<TravelResult> {
    return this.#move("undo", positive("steps", steps), options);
  }

  redo({ steps = 1, ...options }: TravelOptions): Promise<TravelResult> {
    return this.#move("redo", positive("steps", steps), options);
  }

  #move(kind: "undo" | "redo", steps: number, options: RestoreOptions): Promise<TravelResult> {
    const started = performance.now();
    const message = kind === "undo" ? "before an undo" : "before a redo";
    return this.#timeline.alone(async () => {
      const events = await this.#parts.keeper.history.all();
      const line = walk(events, await this.fork.began());
      const changed = (await this.#liveId()) !== line.current?.state;
      if (kind === "redo" && changed && line.forth.length > 0) throw changedSinceUndo();
      const { back, forth } = changed ? unsaved(line) : line;
      const all = await this.#timeline.snapshots();
      const there = (place: Place): boolean =>
        snapshotOf(all, place) !== undefined || isForks(events, place.number);
      const places = kind === "undo" ? back : forth;
      const place = along(places, steps, there);
      if (!place) throw nothingTo(kind, places.filter(there).length);
      const known = snapshotOf(all, place);
      using tree = await (known ? this.#timeline.load(known) : this.fork.beginning());
      let kept: Saved | undefined;
      const { target, saved, filesChanged } = await this.#go({
        target: async () => {
          if (known) return known;
          kept = await this.save(message);
          kept.tree.dispose();
          return this.fork.keep(tree, kept.info);
        },
        tree,
        event: { kind, parent: place.number, detail: { to: place.number, steps } },
        save: (comeBackTo) => this.save(message, { comeBackTo }),
        options,
      });
      const durationMs = performance.now() - started;
      return {
        id: target.id,
        to: place.number,
        steps,
        ...((kept ?? saved).added && { saved: saved.info }),
        filesChanged,
        durationMs,
      };
    });
  }

  /** Goes there. The caller has the mutex. */
  async #go(journey: Journey): Promise<Arrived> {
    const { vfs, checkpointer, commands, keeper, now } = this.#parts;
    vfs.expectRestore();
    const goOn = await checkpointer.meanwhile(() => commands.makeWay(journey.options));
    let target: SnapshotInfo;
    let switched: [Saved, Promise<number>];
    try {
      target = await journey.target();
      switched = await this.#switch(journey, target);
    } finally {
      goOn();
    }
    const [saved, filesChanged] = switched;
    using _ = saved.tree;
    const { kind, parent, detail } = journey.event;
    await keeper.history.add({
      kind,
      at: now(),
      ...(parent !== undefined && { parent }),
      snapshot: target.sequence,
      state: target.id,
      detail,
    });
    return { target, saved, filesChanged: await filesChanged };
  }

  /**
   * Keeps the live state as an automatic snapshot, unless (`always` false) the one with which the
   * history ends is of the same state. The caller has the mutex.
   */
  async save(
    message: string,
    { always = false, comeBackTo }: { always?: boolean; comeBackTo?: number } = {},
  ): Promise<Saved> {
    const { vfs, keeper, now } = this.#parts;
    const [tree, changeCount] = await freeze(vfs);
    try {
      const id = await tree.contentId();
      const { current } = walk(await keeper.history.all());
      const known = current?.state === id;
      const found = known && snapshotOf(await this.#timeline.snapshots(), current);
      if (found && !always) return { info: found, added: false, tree, changeCount };
      const event = known
        ? undefined
        : await this.#timeline.eventOf("snapshot", { automatic: true, message }, now());
      const described = { automatic: true, message };
      const more = { event, ...(comeBackTo !== undefined && { comeBackTo }) };
      const info = await this.#timeline.keep(tree, changeCount, described, more);
      return { info, added: true, tree, changeCount };
    } catch (error) {
      tree.dispose();
      throw error;
    }
  }

  async #liveId(): Promise<string> {
    const [tree] = await freeze(this.#parts.vfs);
    using live = tree;
    return await live.contentId();
  }

  /** The event that made the state of a snapshot. */
  async #eventOf({ sequence, id }: SnapshotInfo): Promise<number | undefined> {
    const events = await this.#parts.keeper.history.all();
    const made = events.find(({ snapshot }) => snapshot === sequence);
    return (made ?? events.findLast(({ state }) => state === id))?.number;
  }

  /**
   * Keeps the state before, then makes `tree` the live state. The store comes first, in one step: a
   * crash in between brings the target back, an error takes everything back.
   */
  async #switch({ tree, save }: Journey, target: SnapshotInfo): Promise<[Saved, Promise<number>]> {
    const { vfs, checkpointer } = this.#parts;
    const saved = await save(target.sequence);
    const filesChanged = saved.tree.countChanges(tree);
    filesChanged.catch(() => undefined);
    try {
      await this.#rebase(target, saved);
      checkpointer.noteRestored();
      await vfs.restore(tree);
      passPhase("restore");
      return [saved, filesChanged];
    } catch (error) {
      // Either state may be live; both are kept, and the next checkpoint finds out.
      checkpointer.noteUnknown();
      saved.tree.dispose();
      throw error;
    }
  }

  /** Makes the target the state to come back to, where that was not done with the state before. */
  async #rebase(target: SnapshotInfo, { info, added, tree }: Saved): Promise<void> {
    const { keeper, now } = this.#parts;
    const { nextIno } = tree;
    const takeBack = added ? undefined : await keeper.rebase(target.sequence, now(), nextIno);
    try {
      passPhase("restore");
    } catch (error) {
      if (takeBack) await takeBack();
      else {
        await keeper.rebase(info.sequence, now(), nextIno);
        await keeper.removeSnapshot(info.sequence);
        await this.#timeline.publish();
      }
      throw error;
    }
  }
}

/** A snapshot of this state that is still kept. */
export function snapshotOf(
  all: readonly SnapshotInfo[],
  { state, snapshots }: Place,
): SnapshotInfo | undefined {
  return (
    all.find(({ sequence }) => snapshots.includes(sequence)) ?? all.find(({ id }) => id === state)
  );
}
