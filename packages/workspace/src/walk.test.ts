// Undo and redo over histories.

import type { EventRow } from "@devdev/store";
import { expect, it } from "vitest";

import { along, unsaved, walk } from "./walk.js";

/** Events "s a", "undo 1", ...: a kind, then the state (one letter) or where it went. */
function history(...texts: string[]): EventRow[] {
  return texts.map((text, n) => {
    const [kind = "", what = ""] = text.split(" ");
    const moves = kind === "undo" || kind === "redo";
    const row = { workspace: "w", number: n + 1, kind, at: n, snapshot: n + 1 };
    if (kind === "start") return { ...row, detail: {} };
    return moves ? { ...row, detail: { to: Number(what) } } : { ...row, state: what, detail: {} };
  });
}

function shown(...texts: string[]): string {
  return shownFrom(undefined, ...texts);
}

/** `began`: what a fork began with. */
function shownFrom(began: string | undefined, ...texts: string[]): string {
  const { current, back, forth } = walk(history(...texts), began);
  const names = (places: Array<{ state: string }>): string =>
    places.map(({ state }) => state).join("");
  return `${names(back)}[${current?.state ?? ""}]${names(forth.toReversed())}`;
}

it("goes back over what changed the state, and nothing else", () => {
  expect(shown()).toBe("[]");
  expect(shown("snapshot a")).toBe("[a]");
  expect(shown("snapshot a", "exec b", "exec b", "snapshot b", "restore a")).toBe("ab[a]");
});

it("goes forth again until something new happens", () => {
  const made = ["snapshot a", "exec b", "exec c"];
  expect(shown(...made, "undo 2")).toBe("a[b]c");
  expect(shown(...made, "undo 2", "undo 1")).toBe("[a]bc");
  expect(shown(...made, "undo 1", "redo 3")).toBe("ab[c]");
  expect(shown(...made, "undo 1", "redo 2")).toBe("a[b]c");
  expect(shown(...made, "undo 1", "exec a")).toBe("[a]bc");
  expect(shown(...made, "undo 1", "exec d")).toBe("a[d]");
});

it("begins, in a fork, with what that was forked from (S161)", () => {
  expect(shownFrom("a", "start")).toBe("[a]");
  expect(shownFrom("a", "start", "snapshot a", "exec b")).toBe("a[b]");
  expect(shownFrom("a", "start", "exec b", "undo 1")).toBe("[a]b");
  expect(shownFrom("a", "start", "exec b", "undo 1", "redo 2")).toBe("a[b]");
  expect(shownFrom("a", "start", "exec b", "undo 1", "exec c")).toBe("a[c]");
  // Its state is not always asked for: then it is a place of its own.
  expect(shown("start", "snapshot a", "exec b", "undo 1")).toBe("[]ab");
});

it("takes an undo that has no place to go to for a state of its own", () => {
  expect(shown("snapshot a", "exec b", "undo 7")).toBe("a[b]");
  const paths: EventRow = {
    ...history("undo x")[0]!,
    number: 3,
    state: "c",
    detail: { paths: ["/f"] },
  };
  expect(walk([...history("snapshot a", "exec b"), paths]).current?.state).toBe("c");
});

it("counts only the places that are there, and what is in no snapshot as one", () => {
  const line = walk(history("snapshot a", "exec b", "exec c", "exec d"));
  const there = ({ state }: { state: string }): boolean => state !== "c";
  expect(along(line.back, 1, there)?.state).toBe("b");
  expect(along(line.back, 2, there)?.state).toBe("a");
  expect(along(line.back, 3, there)).toBeUndefined();
  expect(along(unsaved(line).back, 1, there)?.state).toBe("d");
  expect(unsaved(walk([])).back).toEqual([]);
});
