// The contract of comparing states of two workspaces.

import assert from "node:assert/strict";
import type { DiffEntry } from "@devdev/protocol";
import { type ContractCase, onWorkspace, rejection } from "./contract.js";

const told = ({ entries }: { entries: DiffEntry[] }): unknown[] =>
  entries.map(({ kind, path, oldPath }) => [
    kind,
    path,
    ...(oldPath === undefined ? [] : [oldPath]),
  ]);

export const againstCases: ContractCase[] = [
  onWorkspace("S120 diff against a fork tells what both have not in common", async (workspace) => {
    const { fs } = workspace;
    await fs.writeFile("/same", "same");
    await fs.writeFile("/moved", "one\n");
    await fs.writeFile("/both", "base\n");
    await using fork = await workspace.fork();
    // Both give the next numbers out, each to files of its own.
    for (const name of ["/a1", "/a2", "/a3"]) await fs.writeFile(name, "here");
    for (const name of ["/b1", "/b2", "/b3"]) await fork.fs.writeFile(name, "there");
    await fork.fs.rename("/moved", "/elsewhere");
    await fs.writeFile("/both", "here\n");
    const against = { workspace: fork };
    const result = await workspace.diff(undefined, undefined, { against, stat: true, patch: true });
    assert.deepEqual(told(result), [
      ["added", "/a1"],
      ["added", "/a2"],
      ["added", "/a3"],
      ["removed", "/b1"],
      ["removed", "/b2"],
      ["removed", "/b3"],
      ["modified", "/both"],
      ["renamed", "/moved", "/elsewhere"],
    ]);
    assert.ok(result.stats?.some((s) => s.path === "/both" && s.added === 1 && s.removed === 1));
    const text = typeof result.patch === "string" ? result.patch : "";
    assert.ok(text.includes("-base\n+here\n") && text.includes("rename from elsewhere"), text);
    const pieces: Buffer[] = [];
    for await (const piece of workspace.patch(undefined, undefined, { against }))
      pieces.push(piece);
    assert.equal(Buffer.concat(pieces).toString(), text);
    const back = await workspace.diff(undefined, undefined, { against, reverse: true });
    assert.deepEqual(
      told(await fork.diff(undefined, undefined, { against: { workspace } })),
      told(back),
    );
    // Snapshots of either.
    await fork.snapshot({ name: "there" });
    await workspace.snapshot({ name: "here" });
    await fork.fs.writeFile("/later", "");
    await fs.rm("/same");
    const kept = await workspace.diff("here", undefined, {
      against: { workspace: fork, snapshot: "there" },
    });
    assert.deepEqual(told(kept), told(result));
  }),

  {
    name: "S120 diff against a workspace that has nothing in common compares by path",
    async run(maker) {
      await using workspace = await maker.create();
      await using other = await maker.create();
      for (const { fs } of [workspace, other]) {
        await fs.mkdir("/d");
        await fs.writeFile("/d/same", "same");
      }
      await workspace.fs.writeFile("/d/f", "here");
      await other.fs.writeFile("/d/g", "there");
      const found = await workspace.diff(undefined, undefined, { against: { workspace: other } });
      assert.deepEqual(told(found), [
        ["added", "/d/f"],
        ["removed", "/d/g"],
      ]);
      const none = workspace.diff(undefined, undefined, {
        against: { workspace: other, snapshot: "none" },
      });
      assert.equal((await rejection(none))["code"], "ERR_NO_SNAPSHOT");
      await workspace.snapshot();
      const three = workspace.diff("-1", "-1", { against: { workspace: other } });
      assert.equal((await rejection(three))["code"], "ERR_INVALID_ARG_VALUE");
      const itself = await workspace.diff(undefined, undefined, { against: { workspace } });
      assert.deepEqual(itself.entries, []);
    },
  },
];
