// Random trees and random changes of them, for merges that are compared with git's. Files are of
// lines that occur once, so that there is one way to compare two of them, and long enough for git
// to see what was renamed; directories never become empty, of which git knows nothing.

import { Random } from "./random.js";

export type Files = Map<string, { exec: boolean; text: string }>;

export type Change =
  | { do: "write" | "replace"; path: string; text: string }
  | { do: "remove"; path: string }
  | { do: "rename"; from: string; path: string }
  | { do: "chmod"; path: string; exec: boolean };

interface Thing {
  path: string;
  lines: string[];
  exec: boolean;
  /** By this side. Not both: git would follow it to its name, a merge here follows the inode. */
  fate?: "replaced" | "renamed";
}

/** A tree, and how it came about. Things are files, however they are called. */
export interface Side {
  things: Map<string, Thing>;
  changes: Change[];
}

const DIRECTORIES = ["", "/d", "/e", "/d/f"];
const LINES = 14;

const textOf = ({ lines }: Thing): string => lines.map((line) => `${line}\n`).join("");

export function filesOf({ things }: Side): Files {
  return new Map(
    [...things.values()].map((each) => [each.path, { exec: each.exec, text: textOf(each) }]),
  );
}

export function randomBase(seed: number): Side {
  const random = new Random(seed * 3);
  const base: Side = { things: new Map(), changes: [] };
  const add = (path: string): void => {
    const lines = Array.from({ length: LINES }, (_, n) => `${path} has line ${n} of ${seed}`);
    const thing = { path, lines, exec: false };
    base.things.set(path, thing);
    base.changes.push({ do: "write", path, text: textOf(thing) });
    base.changes.push({ do: "chmod", path, exec: false });
  };
  for (const directory of DIRECTORIES) add(`${directory}/keep`);
  const files = 4 + random.below(5);
  for (let n = 0; n < files; n++) add(`${random.pick(DIRECTORIES)}/file${n}`);
  return base;
}

/** What one side does; now and then both do the same. */
export function changesOf(base: Side, seed: number, name: "ours" | "theirs"): Side {
  const random = new Random(seed * 3 + (name === "ours" ? 1 : 2));
  const things = new Map(
    [...base.things].map(([id, each]) => [id, { ...each, lines: [...each.lines] }]),
  );
  const side: Side = { things, changes: [] };
  const count = 1 + random.below(5);
  for (let n = 0; n < count; n++) change(side, random, name, n);
  return side;
}

function change(side: Side, random: Random, name: string, n: number): void {
  const own = random.below(4) > 0 ? `${name} ${n}` : "both";
  const kind = random.below(10);
  if (kind === 0) return added(side, random, own);
  const candidates = [...side.things].filter(
    ([id]) => !id.endsWith("/keep") && !id.startsWith("new"),
  );
  if (candidates.length === 0) return;
  const [id, thing] = random.pick(candidates);
  const { path } = thing;
  if (kind === 1) {
    side.things.delete(id);
    side.changes.push({ do: "remove", path });
  } else if (kind <= 3) renamed(side, thing, `${random.pick(DIRECTORIES)}/name${random.below(6)}`);
  else if (kind === 4) {
    thing.exec = !thing.exec;
    side.changes.push({ do: "chmod", path, exec: thing.exec });
  } else {
    edited(thing, random, own);
    const replaces = kind <= 6 && thing.fate !== "renamed";
    if (replaces) thing.fate = "replaced";
    side.changes.push({ do: replaces ? "replace" : "write", path, text: textOf(thing) });
  }
}

function isTaken({ things }: Side, path: string): boolean {
  return [...things.values()].some((each) => each.path === path);
}

function renamed(side: Side, thing: Thing, path: string): void {
  if (isTaken(side, path) || thing.fate === "replaced") return;
  thing.fate = "renamed";
  side.changes.push({ do: "rename", from: thing.path, path });
  thing.path = path;
}

function added(side: Side, random: Random, own: string): void {
  const path = `${random.pick(DIRECTORIES)}/name${random.below(6)}`;
  if (isTaken(side, path)) return;
  const lines = Array.from({ length: LINES }, (_, n) => `${own} adds ${path} with line ${n}`);
  const thing = { path, lines, exec: false };
  side.things.set(`new ${path}`, thing);
  side.changes.push({ do: "write", path, text: textOf(thing) });
  side.changes.push({ do: "chmod", path, exec: false });
}

/** One line is replaced, put in or taken out: a fourteenth, so that git knows a renamed one. */
function edited({ lines }: Thing, random: Random, own: string): void {
  const at = random.below(lines.length);
  const how = random.below(3);
  const line = `${own} wrote line ${at}`;
  lines.splice(at, how === 0 ? 0 : 1, ...(how === 2 ? [] : [line]));
}
