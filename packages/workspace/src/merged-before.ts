// Two workspaces that have merged before: what the one made of the other's files has inode numbers
// of its own there. The state right after that merge says which are which, so that a later merge
// follows a file that was renamed since; without it (it is an automatic snapshot, which a rule may
// remove) such a file was removed and another one added.

import type { MergedBefore, Tree } from "@devdev/vfs";

import { type Common, commonFork, type Relative } from "./forking.js";
import type { Base } from "./keeper.js";

/** Of a merge into `target`; undefined: the base is from before they parted. */
export async function mergedBefore(
  { base, mergedBy }: Common,
  target: Relative,
  fork: Relative,
  reference: Tree,
): Promise<(MergedBefore & { tree?: Tree | undefined }) | undefined> {
  if (!mergedBy) return undefined;
  const parting = await commonFork(target, fork);
  using before = await parting?.load(reference);
  const tree = await stateAfter(mergedBy, base, reference);
  return { isOurs: mergedBy.id === target.id, apartFrom: before?.nextIno ?? 0, tree };
}

/** The state after the merge of that base. */
async function stateAfter(
  { keeper }: Relative,
  { other, at }: Base,
  reference: Tree,
): Promise<Tree | undefined> {
  const events = await keeper.history.all();
  const merge = events.findLast(
    ({ kind, detail }) =>
      kind === "merge" && (detail["other"] as { id?: string } | undefined)?.id === other,
  );
  if (merge === undefined || merge.at < at) return undefined;
  const snapshots = await keeper.snapshots();
  const kept = snapshots.find(({ sequence }) => sequence === merge.snapshot);
  return kept && keeper.tree(kept.sequence, reference);
}
