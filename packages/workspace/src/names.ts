// Names of workspaces: what may be one, and one for a workspace that was given none.

import { randomInt } from "node:crypto";
import { basename } from "node:path";

import { argumentError } from "@devdev/errno";

const LONGEST = 100;

const FIRST = [
  "amber",
  "brisk",
  "calm",
  "dusty",
  "early",
  "fern",
  "gentle",
  "hazel",
  "ivory",
  "jolly",
];
const SECOND = [
  "badger",
  "cedar",
  "delta",
  "ember",
  "finch",
  "grove",
  "heron",
  "island",
  "juniper",
];

/** Refuses what could be taken for a path or an option. */
export function checkWorkspaceName(name: string): void {
  if (name.length <= LONGEST && /^[\p{L}\p{N}_][\p{L}\p{N} ._+@-]*$/u.test(name)) return;
  throw argumentError(
    "RangeError",
    "ERR_INVALID_ARG_VALUE",
    `a workspace's name has 1 to ${LONGEST} letters, digits, spaces or "._+@-" and begins with a letter or a ` +
      `digit: ${JSON.stringify(name)}`,
  );
}

/** A name that is not taken: after the mount path when there is one. */
export function freshName(taken: ReadonlySet<string>, mountPath?: string): string {
  const base = mountPath === undefined ? randomName() : nameOfPath(mountPath);
  if (!taken.has(base)) return base;
  for (let number = 2; ; number++) {
    if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
  }
}

function nameOfPath(path: string): string {
  const allowed = basename(path).replaceAll(/[^\p{L}\p{N} ._+@-]/gu, "-");
  const name = allowed.replace(/^[^\p{L}\p{N}_]+/u, "").slice(0, LONGEST - 6);
  return name === "" ? randomName() : name;
}

function randomName(): string {
  return `${FIRST[randomInt(FIRST.length)]}-${SECOND[randomInt(SECOND.length)]}`;
}
