// How snapshots are called: the name below `.devdev/snapshots`, and what a caller may write to mean
// one.

import { argumentError, DevdevError } from "@devdev/errno";
import type { SnapshotInfo } from "@devdev/protocol";

/** What names need to know of a snapshot. */
export interface Named {
  id: string;
  sequence: number;
  name?: string;
  message?: string;
}

const LONGEST_NAME = 200;
const LEAST_DIGITS = 4;
/** What ambiguous and unknown references list at most. */
const MOST_CANDIDATES = 10;
const SHOWN_MESSAGE = 40;

/** Its directory below `.devdev/snapshots`: its name, else `#` and its sequence number. */
export function listedName({ name, sequence }: { name?: string; sequence: number }): string {
  return name ?? `#${sequence}`;
}

/** Refuses names that could not be a directory, or that mean something else in a reference. */
export function checkSnapshotName(name: string): void {
  const bad =
    name === "" ||
    Buffer.byteLength(name) > LONGEST_NAME ||
    /^[-.#]|\//.test(name) ||
    // oxlint-disable-next-line no-control-regex -- these are what must not be in a name
    /[\u0000-\u001f\u007f]/.test(name);
  if (!bad) return;
  throw argumentError(
    "RangeError",
    "ERR_INVALID_ARG_VALUE",
    `a snapshot's name has 1 to ${LONGEST_NAME} bytes, no "/" and no control characters, and begins with ` +
      `none of "-", "." and "#": ${JSON.stringify(name)}`,
  );
}

/**
 * The snapshot that a reference means: a name, a full id or at least 4 digits that only it begins
 * with, `#n` (its number), `-n` (the n-th newest). `all` is oldest first.
 */
export function findSnapshot<S extends Named>(all: readonly S[], ref: string | number): S {
  const text = String(ref);
  const found =
    all.findLast(({ name }) => name === text) ?? byPosition(all, text) ?? byDigits(all, text);
  if (found) return found;
  throw new DevdevError("ERR_NO_SNAPSHOT", `there is no snapshot ${text}`, {
    hint: all.length === 0 ? "take one first: the workspace has none" : `there are: ${list(all)}`,
  });
}

function byPosition<S extends Named>(all: readonly S[], text: string): S | undefined {
  const back = /^-([1-9]\d*)$/.exec(text);
  if (back) return all.at(-Number(back[1]));
  const number = /^#(\d+)$/.exec(text);
  return number ? all.find(({ sequence }) => sequence === Number(number[1])) : undefined;
}

function byDigits<S extends Named>(all: readonly S[], text: string): S | undefined {
  const digits = text.toLowerCase();
  if (digits.length < LEAST_DIGITS || !/^[0-9a-f]{1,64}$/.test(digits)) return undefined;
  const matching = all.filter(({ id }) => id.startsWith(digits));
  if (new Set(matching.map(({ id }) => id)).size > 1) {
    throw new DevdevError("ERR_AMBIGUOUS_SNAPSHOT", `${text} begins the ids of several snapshots`, {
      hint: `write more of it: ${list(matching)}`,
    });
  }
  // Equal ids are equal trees: the newest stands for all.
  return matching.at(-1);
}

function list(all: readonly Named[]): string {
  const shown = all.slice(-MOST_CANDIDATES).toReversed();
  const texts = shown.map((one) => `${listedName(one)} (${one.id.slice(0, 12)}${quoted(one)})`);
  return texts.join(", ") + (all.length > shown.length ? ", ..." : "");
}

function quoted({ message }: Named): string {
  if (message === undefined) return "";
  const cut = message.length > SHOWN_MESSAGE ? `${message.slice(0, SHOWN_MESSAGE)}...` : message;
  return `, ${JSON.stringify(cut)}`;
}

/** What the history says of a snapshot also when it is gone. */
export function nameOf({
  name,
  message,
}: Pick<SnapshotInfo, "name" | "message">): Record<string, unknown> {
  return { ...(name !== undefined && { name }), ...(message !== undefined && { message }) };
}
