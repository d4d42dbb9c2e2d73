// Where undo and redo lead: the history read as a line of states. Pure, so that it is easily
// tested.
//
// Whatever changed the state goes on the way back, and ends what could be redone; a restore is such
// a change, so undoing it leads to the state before it. Undo and redo only move along that line.
// A fork's line begins with what it was forked from.

import type { EventRow } from "@devdev/store";

/** The state of a place of which only the number is known. */
const UNKNOWN = "";

/** A state of the workspace, and the event that made it. */
export interface Place {
  number: number;
  /** Content id. */
  state: string;
  /** Sequences of snapshots of it. */
  snapshots: number[];
}

export interface Walk {
  /** Where the history ends: the live state, unless it was changed since. */
  current: Place | undefined;
  /** Nearest last. */
  back: Place[];
  forth: Place[];
}

/** `began`: what a fork began with, where that is known; no event says so. */
export function walk(events: readonly EventRow[], began = UNKNOWN): Walk {
  const line: Walk = { current: undefined, back: [], forth: [] };
  for (const event of events) {
    if (event.kind === "undo" && moved(line, line.back, line.forth, event)) continue;
    if (event.kind === "redo" && moved(line, line.forth, line.back, event)) continue;
    if (event.kind === "start") arrive(line, placeOf(event, began));
    else if (event.state !== undefined) arrive(line, placeOf(event, event.state));
  }
  return line;
}

/** The state is not in the history: as if a snapshot of it had just been taken. */
export function unsaved({ current, back }: Walk): Walk {
  return { current: undefined, back: current ? [...back, current] : back, forth: [] };
}

/**
 * The place so many steps along the line, the nearest last; only those that are `there` count.
 * Undefined when it is not so long.
 */
export function along(
  places: readonly Place[],
  steps: number,
  there: (place: Place) => boolean,
): Place | undefined {
  return places.toReversed().filter(there)[steps - 1];
}

function placeOf({ number, snapshot }: EventRow, state: string): Place {
  return { number, state, snapshots: snapshot === undefined ? [] : [snapshot] };
}

function arrive(line: Walk, place: Place): void {
  const { current } = line;
  if (current?.state === place.state) {
    current.snapshots.push(...place.snapshots);
    return;
  }
  if (current) line.back.push(current);
  line.current = place;
  line.forth = [];
}

/** Moves to the place of that event; false when it is not on this side. */
function moved(line: Walk, from: Place[], onto: Place[], { detail, state }: EventRow): boolean {
  const to = detail["to"];
  if (typeof to !== "number" || !from.some(({ number }) => number === to)) return false;
  while (line.current?.number !== to) {
    if (line.current) onto.push(line.current);
    line.current = from.pop();
  }
  if (line.current.state === UNKNOWN && state !== undefined) line.current.state = state;
  return true;
}
