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
    const { vfs, keeper, checkpointer, now, fork } = source;
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

/** A state that two workspaces have both had, or have gone on from. */
export interface Common {
  base: Base;
  /** It was the other one's, and this one merged it; else it is from before they parted. */
  mergedBy?: Relative;
}

/**
 * What two workspaces last had in common: a merge or a fork of one of the other, else the older of
 * the states in which they left the nearest workspace that both were forked from.
 */
export async function commonBase(a: Relative, b: Relative): Promise<Common> {
  const [ofA, ofB] = [await a.keeper.bases(), await b.keeper.bases()];
  const common = newestOf(direct(a, ofA, b, ofB)) ?? ofSiblings(ofA, ofB);
  if (common) return common;
  throw new DevdevError("ERR_UNRELATED", `${a.name} and ${b.name} have nothing in common`, {
    hint: "merge a fork with its source, or forks of one workspace with each other",
  });
}

/** The state from which they went on apart; undefined: they are not related. */
export async function commonFork(a: Relative, b: Relative): Promise<Base | undefined> {
  const [ofA, ofB] = [forksIn(await a.keeper.bases()), forksIn(await b.keeper.bases())];
  return (newestOf(direct(a, ofA, b, ofB)) ?? ofSiblings(ofA, ofB))?.base;
}

function forksIn(bases: readonly Base[]): Base[] {
  return bases.filter(({ kind }) => kind === "fork");
}

/**
 * What the one was forked from or has merged: of the other, or of what that was forked from later.
 */
function direct(a: Relative, ofA: Base[], b: Relative, ofB: Base[]): Common[] {
  const of = (owner: Relative, bases: Base[], { id }: Relative, others: Base[]): Common[] =>
    bases
      .filter((base) => base.other === id || isInherited(base, others))
      .map((base) => ({ base, ...(base.kind === "merge" && { mergedBy: owner }) }));
  return [...of(a, ofA, b, ofB), ...of(b, ofB, a, ofA)];
}

/** A state of what the other one was forked from, no later than that. */
function isInherited({ kind, other, at }: Base, others: Base[]): boolean {
  return kind === "merge" && forksIn(others).some((fork) => fork.other === other && at <= fork.at);
}

function newestOf(all: Common[]): Common | undefined {
  return all.toSorted((x, y) => x.base.at - y.base.at).at(-1);
}

function ofSiblings(ofA: Base[], ofB: Base[]): Common | undefined {
  for (const mine of forksIn(ofA).toReversed()) {
    const theirs = forksIn(ofB).find(({ other }) => other === mine.other);
    if (theirs) return { base: mine.at <= theirs.at ? mine : theirs };
  }
  return undefined;
}
