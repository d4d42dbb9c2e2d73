// Paths that callers name, and what a command did to them. Pure: no tree is looked at here.

import { DevdevError } from "@devdev/errno";
import { type DiffEntry, gitPath, pathBytes, pathOf } from "@devdev/protocol";
import type { EventRow } from "@devdev/store";
import type { GraftPath } from "@devdev/vfs";

export type Paths = readonly (string | Buffer)[];

const MOST_NAMED = 5;

export function checked(paths: Paths): Buffer[] {
  return paths.map((path) => {
    const bytes = typeof path === "string" ? Buffer.from(path) : path;
    // A slash at the end says nothing here.
    const end = bytes.length > 1 && bytes.at(-1) === 0x2f ? -1 : undefined;
    return bytes.subarray(0, end);
  });
}

export function listed(paths: readonly Buffer[]): string {
  const some = paths.slice(0, MOST_NAMED).map((path) => gitPath(pathOf(path)) || "/");
  return some.join(" ") + (paths.length > MOST_NAMED ? " ..." : "");
}

/** Of an entry: where it is, and where it was. */
function placesOf({ path, oldPath }: DiffEntry): string[] {
  return [path, ...(oldPath === undefined ? [] : [oldPath])].map((place) =>
    pathBytes(place).toString("latin1"),
  );
}

function isWithin(place: string, above: string): boolean {
  return place === above || above === "/" || place.startsWith(`${above}/`);
}

export function concerns(entry: DiffEntry, paths: readonly Buffer[]): boolean {
  return paths.some((path) =>
    placesOf(entry).some((place) => isWithin(place, path.toString("latin1"))),
  );
}

/** What a command did at these paths; refuses those to which it did nothing. */
export function select(effects: DiffEntry[], paths: Buffer[], { number }: EventRow): DiffEntry[] {
  const spared = paths.find((path) => !effects.some((entry) => concerns(entry, [path])));
  if (spared !== undefined) {
    throw new DevdevError("ERR_NO_EFFECT", `${number} did nothing to ${listed([spared])}`, {
      hint: `\`devdev show ${number}\` says what it did; another one: --turn NUMBER`,
    });
  }
  return effects.filter((entry) => concerns(entry, paths));
}

/** What is as it was after the command can be taken back; the rest would be lost. */
export function refuseChanged(
  selected: DiffEntry[],
  since: DiffEntry[],
  { number }: EventRow,
): void {
  const touched = since.flatMap(placesOf);
  const changed = new Set(touched);
  const isNewDirectory = ({ kind, fileKind }: DiffEntry): boolean =>
    kind === "added" && fileKind === "directory";
  const again = selected.filter(
    (entry) =>
      placesOf(entry).some((place) => changed.has(place)) ||
      (isNewDirectory(entry) && touched.some((place) => isWithin(place, placesOf(entry)[0] ?? ""))),
  );
  if (again.length === 0) return;
  const names = listed(again.map(({ path }) => pathBytes(path)));
  throw new DevdevError("ERR_CHANGED_SINCE", `changed again since ${number}: ${names}`, {
    hint: "--force takes it back all the same; what is there now is kept as a snapshot",
  });
}

/** What is to be as before the command, so that its effects are gone. */
export function reversed(selected: DiffEntry[], since: DiffEntry[]): GraftPath[] {
  const gone = new Set(since.filter(({ kind }) => kind === "removed").flatMap(placesOf));
  return selected.flatMap((entry) => {
    const { kind, fileKind, oldFileKind, path, oldPath } = entry;
    const shallow = kind === "modified" && fileKind === "directory" && oldFileKind === undefined;
    const isGone = kind !== "removed" && kind !== "modified" && gone.has(placesOf(entry)[0] ?? "");
    const places = [...(isGone ? [] : [path]), ...(oldPath === undefined ? [] : [oldPath])];
    return places.map((place) => ({ path: pathBytes(place), shallow }));
  });
}
