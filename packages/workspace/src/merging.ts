// Merges: what was changed in a fork since it and the target had a state in common is made in the
// target. The new state is made beside the live one, stored, and then takes its place as a restored
// one does; if the target was changed meanwhile, it is made again.

import { DevdevError } from "@devdev/errno";
import { type DiffEntry, type MergeOptions, type MergeResult, pathBytes } from "@devdev/protocol";
import type { MergedBefore, Tree } from "@devdev/vfs";

import { commonBase } from "./forking.js";
import type { Base } from "./keeper.js";
import { freeze } from "./live-state.js";
import { mergedBefore } from "./merged-before.js";
import type { Timeline, TimelineParts } from "./timeline.js";

/** How often a merge is made again because the target was changed meanwhile. */
const ATTEMPTS = 5;
const NS_PER_MS = 1_000_000n;

/** One of the two workspaces. */
export type MergeSide = TimelineParts & { id: string; name: string; timeline: Timeline };

type Outcome = Omit<MergeResult, "durationMs">;

/** Merges `fork` into `target`. Neither can be snapshotted, restored or merged meanwhile. */
export async function merged(
  target: MergeSide,
  fork: MergeSide,
  options: MergeOptions,
): Promise<MergeResult> {
  const started = performance.now();
  if (target.id === fork.id) {
    throw new DevdevError("EINVAL", `${target.name} cannot be merged into itself`, {
      hint: "say which fork is meant, or with --into which workspace",
    });
  }
  // In one order for everybody, so that two merges never wait for each other.
  const [first, second] = target.id < fork.id ? [target, fork] : [fork, target];
  for (const { keeper } of [first, second]) keeper.hurry();
  const outcome = await first.mutex.run(() =>
    second.mutex.run(() => new Merge(target, fork, options).run()),
  );
  return { ...outcome, durationMs: performance.now() - started };
}

/** What is merged, and since when. */
interface From {
  base: Base;
  mergedBefore: MergedBefore | undefined;
  theirs: Tree;
}

/** What a merge comes to, before it is made. */
interface Plan {
  ours: Tree;
  changeCount: bigint;
  tree: Tree;
  entries: DiffEntry[];
  conflicts: MergeResult["conflicts"];
  /** The fork was changed since the base, though perhaps as the target was. */
  isNews: boolean;
}

class Merge {
  readonly #target: MergeSide;
  readonly #fork: MergeSide;
  readonly #options: MergeOptions;

  constructor(target: MergeSide, fork: MergeSide, options: MergeOptions) {
    this.#target = target;
    this.#fork = fork;
    this.#options = options;
  }

  async run(): Promise<Outcome> {
    const { dryRun = false } = this.#options;
    const [tree, changeCount] = await freeze(this.#fork.vfs);
    using theirs = tree;
    // What the target is about to refer to has to be in the store, and to stay there.
    if (!dryRun) await this.#fork.checkpointer.keep(theirs, changeCount);
    const common = await commonBase(this.#target, this.#fork);
    const known = await mergedBefore(common, this.#target, this.#fork, theirs);
    using _ = known?.tree;
    return await this.#attempts({ base: common.base, mergedBefore: known, theirs });
  }

  async #attempts(from: From): Promise<Outcome> {
    const first = await this.#attempt(from, false);
    if (first) return first;
    const { checkpointer, commands } = this.#target;
    const goOn = await checkpointer.meanwhile(() => commands.makeWay(this.#options));
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const outcome = await this.#attempt(from, true);
        if (outcome) return outcome;
      }
    } finally {
      goOn();
    }
    throw new DevdevError("EBUSY", `${this.#target.name} was changed again and again meanwhile`, {
      hint: "merge when nothing writes to it, or pause its commands (--live)",
    });
  }

  /** Undefined: it is to be made (unless `apply`), or made again. */
  async #attempt(from: From, apply: boolean): Promise<Outcome | undefined> {
    const plan = await this.#plan(from);
    const { theirs } = from;
    using _ours = plan.ours;
    using _tree = plan.tree;
    const { entries, conflicts } = plan;
    const { dryRun = false, resolve } = this.#options;
    const isOpen = conflicts.length > 0 && resolve === undefined;
    if (dryRun || isOpen) return { merged: false, entries, conflicts };
    if (entries.length === 0) {
      if (plan.isNews) await this.#note(theirs, this.#target.now());
      return { merged: false, entries, conflicts };
    }
    return apply ? await this.#apply(plan, theirs) : undefined;
  }

  async #plan({ base, theirs, mergedBefore: before }: From): Promise<Plan> {
    const { vfs, now } = this.#target;
    const [ours, changeCount] = await freeze(vfs);
    try {
      using common = await base.load(ours);
      if (this.#options.firstWins) await this.#refuseChanged(common, ours);
      const { resolve } = this.#options;
      const timeNs = BigInt(Math.round(now())) * NS_PER_MS;
      const how = { label: this.#fork.name, timeNs, mergedBefore: before };
      const { tree, conflicts } = await ours.merge(common, theirs, {
        ...how,
        ...(resolve && { resolve }),
      });
      const entries = await ours.diff(tree);
      const isNews = entries.length > 0 || (await common.countChanges(theirs)) > 0;
      return { ours, changeCount, tree, entries, conflicts, isNews };
    } catch (error) {
      ours.dispose();
      throw error;
    }
  }

  async #refuseChanged(before: Tree, ours: Tree): Promise<void> {
    const changes = (await before.diff(ours)).filter((entry) => !isAtHome(entry));
    if (changes.length === 0) return;
    const { name } = this.#target;
    throw new DevdevError("ERR_TARGET_CHANGED", `${name} was changed since the fork`, {
      hint: "merge without --first-wins to have both changes",
      details: { changes: changes.length },
    });
  }

  async #apply(plan: Plan, theirs: Tree): Promise<Outcome | undefined> {
    const { vfs, keeper, timeline, checkpointer, now } = this.#target;
    const { ours, changeCount, tree, entries, conflicts } = plan;
    const message = `before the merge of ${this.#fork.name}`;
    const said = { automatic: true, message };
    const event = await timeline.eventOf("snapshot", said, now());
    const before = await timeline.keep(ours, changeCount, said, { event });
    const takeBack = async (): Promise<void> => {
      await keeper.checkpoint(ours, now(), false);
      await keeper.removeSnapshot(before.sequence);
      await timeline.publish();
    };
    try {
      await keeper.checkpoint(tree, now(), false);
    } catch (error) {
      await takeBack();
      throw error;
    }
    // Should the switch fail, either state may be live, and the next checkpoint finds out.
    checkpointer.noteRestored();
    if (!(await vfs.restoreUnlessChanged(tree, changeCount))) {
      await takeBack();
      return undefined;
    }
    // Later than the snapshot: who goes back to that takes back that the merge was made.
    const at = Math.max(now(), before.createdAt + 1);
    await this.#note(theirs, at);
    const { id, name } = this.#fork;
    const merge = await timeline.eventOf("merge", { other: { id, name } }, at);
    // So that undo and redo know the state. Not older than the merge, which it has.
    const createdAt = Math.max(now(), at);
    const result = { automatic: true, message: `after the merge of ${name}`, createdAt };
    await timeline.keep(tree, undefined, result, { event: merge });
    return { merged: true, entries, conflicts, before };
  }

  #note(theirs: Tree, at: number): Promise<void> {
    const { id, name } = this.#fork;
    return this.#target.keeper.noteMerge({ id, name }, theirs, at);
  }
}

function isAtHome({ path }: DiffEntry): boolean {
  return /^\/\.devdev(\/|$)/.test(pathBytes(path).toString("latin1"));
}
