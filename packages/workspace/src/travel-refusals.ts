// Why a state cannot become the live one, in words.

import { DevdevError } from "@devdev/errno";

const DONE = { undo: "undone", redo: "redone" } as const;

export function changedSinceUndo(): DevdevError {
  return new DevdevError("ERR_NOTHING_TO_REDO", "the workspace was changed since the undo", {
    hint: "the states that were undone are in `devdev log`: restore the one that you want",
  });
}

export function nothingTo(kind: "undo" | "redo", possible: number): DevdevError {
  const code = kind === "undo" ? "ERR_NOTHING_TO_UNDO" : "ERR_NOTHING_TO_REDO";
  if (possible > 0) {
    const noun = possible === 1 ? "step" : "steps";
    return new DevdevError(code, `only ${possible} ${noun} can be ${DONE[kind]}`);
  }
  if (kind === "redo") return new DevdevError(code, "there is nothing to redo: nothing was undone");
  return new DevdevError(code, "there is nothing to undo: no state before this one was kept", {
    hint: "take snapshots with `devdev snapshot`, or have commands recorded: `devdev exec --snapshot`",
  });
}
