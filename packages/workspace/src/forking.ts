// Forks: a workspace that begins with a state of another one and shares all of it, in memory and in
// the store. What they had in common at that time is kept, so that they can be merged.

import { DevdevError } from "@devdev/errno";
import type { ForkOptions } from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";

import type { Base, Keeper } from "./keeper.js";
import { emptyTree, freeze, load } from "./live-state.js";
import type { ForkNaming, PointInTime, WorkspaceParts } from "./parts.js";
import { findSnapshot } from "./snapshot-names.js";
import type { TimelineParts } from "./timeline.js";

/** A workspace that can be forked. */
export type Forkable = TimelineParts & Pick<WorkspaceParts, "fork">;

/**
 * The parts of a fork. Its state is durable when they are there, as far as its source is: what the
 * store lacks of the source's live state is stored first.
 */
export function forkOf(
  source: Forkable,
  { from }: ForkOptions,
  naming: ForkNaming,
): Promise<WorkspaceParts> {
  source.keeper.hurry();
  return source.mutex.run(async () => {
    const { vfs, keeper, checkpointer, now } = source;
    const fork: typeof source.fork = async (...args) => {
      const parts = await source.fork(...args);
      const { id, name } = parts;
      // Not waited for: the fork is there whether or not the log of its source says so.
      const noted = keeper.history.add({
        kind: "fork",
        at: now(),
        detail: { other: { id, name } },
      });
      noted.catch(() => undefined);
      return parts;
    };
    if (from !== undefined) {
      const snapshot = findSnapshot(await keeper.snapshots(), from);
      using tree = await load(vfs, keeper, snapshot);
      const { sequence, createdAt } = snapshot;
      return await fork(tree, { sequence, at: createdAt }, naming);
    }
    const [tree, changeCount] = await freeze(vfs);
    using frozen = tree;
    await checkpointer.keep(frozen, changeCount);
    const point: PointInTime = { at: now() };
    return await fork(frozen, point, naming);
  });
}

/** What the state of a workspace without snapshots is compared with: what it was forked from. */
export async function beginning(keeper: Keeper, reference: Tree): Promise<Tree> {
  const forks = (await keeper.bases()).filter(({ kind }) => kind === "fork");
  return (await forks.at(-1)?.load(reference)) ?? emptyTree();
}

/** One of two workspaces, as far as it matters what they have in common. */
export interface Relative {
  id: string;
  name: string;
  keeper: Keeper;
}

/**
 * What two workspaces last had in common: a merge or a fork of one of the other, else the older of
 * the states in which they left the nearest workspace that both were forked from.
 */
export async function commonBase(a: Relative, b: Relative): Promise<Base> {
  const [ofA, ofB] = [await a.keeper.bases(), await b.keeper.bases()];
  const direct = [
    ...ofA.filter(({ other }) => other === b.id),
    ...ofB.filter(({ other }) => other === a.id),
  ];
  const newest = direct.toSorted((x, y) => x.at - y.at).at(-1);
  if (newest) return newest;
  const forks = ofB.filter(({ kind }) => kind === "fork");
  for (const mine of ofA.filter(({ kind }) => kind === "fork").toReversed()) {
    const theirs = forks.find(({ other }) => other === mine.other);
    if (theirs) return mine.at <= theirs.at ? mine : theirs;
  }
  throw new DevdevError("ERR_UNRELATED", `${a.name} and ${b.name} have nothing in common`, {
    hint: "merge a fork with its source, or forks of one workspace with each other",
  });
}
