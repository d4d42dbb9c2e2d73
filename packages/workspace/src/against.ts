// Comparing states of two workspaces: whether they are forks of one another, or of one workspace,
// or have nothing in common decides which of their files are the same ones.

import { argumentError } from "@devdev/errno";
import type { DiffOptions } from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";

import { Comparison } from "./comparison.js";
import { commonFork, type Relative } from "./forking.js";
import type { Timeline } from "./timeline.js";

/** One of the two workspaces. */
export interface Comparable extends Relative {
  timeline: Timeline;
}

/** What is compared with what: from a state of `there` to one of `here`; undefined: live. */
export interface Between {
  here: Comparable;
  to: string | undefined;
  there: Comparable;
  from: string | number | undefined;
}

/** From a state of another workspace to one of this. */
export async function comparedAgainst(
  { here, to, there, from }: Between,
  options: Pick<DiffOptions, "reverse">,
): Promise<Comparison> {
  const before = await there.timeline.state(from);
  let after: Tree | undefined;
  try {
    after = await here.timeline.state(to);
    return Comparison.of(before, after, options, await apartFrom(here, there, after));
  } catch (error) {
    before.dispose();
    after?.dispose();
    throw error;
  }
}

/** Refuses what cannot be said together with another workspace. */
export function refuseBeside(b: string | undefined, { host }: DiffOptions): void {
  if (b === undefined && host === undefined) return;
  const other = host === undefined ? "a second snapshot" : "a host directory";
  const message = `another workspace is compared with one state of this one, not with ${other}`;
  throw argumentError("TypeError", "ERR_INVALID_ARG_VALUE", message);
}

/**
 * From which inode number on the two gave numbers out on their own; undefined: they are the same
 * one.
 */
async function apartFrom(
  here: Comparable,
  there: Comparable,
  reference: Tree,
): Promise<number | undefined> {
  if (here.id === there.id) return undefined;
  const common = await commonFork(here, there);
  using tree = await common?.load(reference);
  return tree?.nextIno ?? 0;
}
