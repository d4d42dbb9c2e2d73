// Which snapshots a rule removes, and in which order a full store lets go of them. No store, no
// clock: rows in, rows out.

import { argumentError } from "@devdev/errno";
import type { RetentionChange, RetentionRule } from "@devdev/protocol";

/** As much of a snapshot as decides. */
export interface Judged {
  sequence: number;
  name?: string;
  automatic: boolean;
  createdAt: number;
}

/** Those of `all` (oldest first) that the rule removes, oldest first. */
export function doomedBy<S extends Judged>(
  { keepLast, keepYoungerMs }: RetentionRule,
  all: readonly S[],
  now: number,
): S[] {
  if (keepLast === undefined && keepYoungerMs === undefined) return [];
  const last = new Set(keepLast === undefined ? [] : newest(all, keepLast));
  const young = (each: S): boolean =>
    keepYoungerMs !== undefined && now - each.createdAt < keepYoungerMs;
  return removable(all).filter((each) => !last.has(each) && !young(each));
}

/** Those of `all` that devdev took by itself and could let go, oldest first. */
export function spare<S extends Judged>(all: readonly S[]): S[] {
  return removable(all).filter(({ automatic }) => automatic);
}

/** All but those with a name, and the newest of all: it is what changes are counted from. */
function removable<S extends Judged>(all: readonly S[]): S[] {
  return all.slice(0, -1).filter(({ name }) => name === undefined);
}

/** Separately, so that snapshots before each restore do not push out those that were asked for. */
function newest<S extends Judged>(all: readonly S[], count: number): S[] {
  if (count === 0) return [];
  const unnamed = all.filter(({ name }) => name === undefined);
  const own = unnamed.filter(({ automatic }) => automatic);
  const asked = unnamed.filter(({ automatic }) => !automatic);
  return [...own.slice(-count), ...asked.slice(-count)];
}

/** The rule with the change made; refuses nonsense. */
export function changedRule(rule: RetentionRule, change: RetentionChange): RetentionRule {
  const { keepLast, keepYoungerMs } = { ...rule, ...withoutUndefined(change) };
  refuseNonsense("keepLast", keepLast, Number.isSafeInteger(keepLast));
  refuseNonsense("keepYoungerMs", keepYoungerMs, Number.isFinite(keepYoungerMs));
  return {
    ...((keepLast ?? undefined) !== undefined && { keepLast: keepLast as number }),
    ...((keepYoungerMs ?? undefined) !== undefined && { keepYoungerMs: keepYoungerMs as number }),
  };
}

function withoutUndefined(change: RetentionChange): RetentionChange {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

function refuseNonsense(name: string, value: number | null | undefined, isNumber: boolean): void {
  if (value === undefined || value === null || (isNumber && value >= 0)) return;
  const message = `${name} is a number of 0 or more, or null, not ${value}`;
  throw argumentError("RangeError", "ERR_OUT_OF_RANGE", message);
}
