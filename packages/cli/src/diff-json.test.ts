// What is written piece by piece is what one value would be.

import type { DiffEntry, DiffPiece, ShownPiece } from "@devdev/protocol";
import { gatherDiff, gatherShown } from "@devdev/protocol";
import { expect, it } from "vitest";

import { diffJson, jsonOf } from "./diff-json.js";

const entry = (path: string): DiffEntry => ({
  kind: "added",
  path,
  fileKind: "file",
  changed: [],
  newSize: 3,
});
const stat = (path: DiffEntry["path"]) => ({ path, added: 1, removed: 0, binary: false });

async function* pieces(all: ShownPiece[]): AsyncGenerator<ShownPiece> {
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

it("writes an event with what it changed as one value, too", async () => {
  const event = { number: 3, kind: "exec", at: 5, more: 2 } as const;
  const shown: ShownPiece[] = [{ event }, ...several];
  let text = "";
  for await (const piece of diffJson(pieces(shown), all)) text += piece;
  const whole = await gatherShown(pieces(shown), all);
  expect(whole).toMatchObject({ ...event, stats: [{ path: "/a" }, { path: odd }] });
  expect(text).toBe(`${JSON.stringify(whole, null, 2)}\n`);
});

it.each([
  { merged: true, entries: [entry("/a")], conflicts: [], durationMs: 1.5 },
  { entries: Array.from({ length: 2500 }, (_, n) => entry(`/${n}`)), before: { id: "x", n: [1] } },
  { nothing: undefined, only: "this" },
])("writes an object with long lists as one value", (value) => {
  expect([...jsonOf(value)].join("")).toBe(`${JSON.stringify(value, null, 2)}\n`);
});
