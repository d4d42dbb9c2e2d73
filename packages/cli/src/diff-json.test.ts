// What is written piece by piece is what one value would be.

import type { DiffEntry, DiffPiece } from "@devdev/protocol";
import { gatherDiff } from "@devdev/protocol";
import { expect, it } from "vitest";

import { diffJson } from "./diff-json.js";

const entry = (path: string): DiffEntry => ({
  kind: "added",
  path,
  fileKind: "file",
  changed: [],
  newSize: 3,
});
const stat = (path: DiffEntry["path"]) => ({ path, added: 1, removed: 0, binary: false });

async function* pieces(all: DiffPiece[]): AsyncGenerator<DiffPiece> {
  yield* all;
}

const odd = { b64: "Lzo=" };
const several: DiffPiece[] = [
  { entries: [entry("/a"), entry("/line\nbreak")] },
  { entries: [] },
  { entries: [{ ...entry("/c"), changed: ["mode", "content"] }] },
  { stats: [stat("/a")] },
  { stats: [stat(odd)] },
  { patch: Buffer.from("--- a/x\n") },
  { patch: Buffer.from([0xff]) },
];
const none = { stat: false, patch: false };
const all = { stat: true, patch: true };

it.each([
  ["nothing", [], none],
  ["nothing, with counts and a patch", [], all],
  ["entries", several.slice(0, 3), none],
  ["counts", several.slice(0, 5), { stat: true, patch: false }],
  ["a patch without counts", [several[0]!, several[5]!], { stat: false, patch: true }],
  ["everything", several, all],
])("writes %s as one value would be written", async (_, given, has) => {
  let text = "";
  for await (const piece of diffJson(pieces(given), has)) text += piece;
  const whole = await gatherDiff(pieces(given), has);
  expect(text).toBe(`${JSON.stringify(whole, null, 2)}\n`);
});
