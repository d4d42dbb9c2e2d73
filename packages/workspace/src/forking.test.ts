// Forks of a snapshot in a store: what was loaded for one is there until the fork has it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace } from "@devdev/workspace";
import { expect, it } from "vitest";

it("a fork of a snapshot of the store has what the snapshot has", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  try {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    await ws.fs.writeFile("/a", "one");
    await ws.snapshot({ name: "one" });
    await ws.fs.writeFile("/a", "two");
    await using fork = await ws.fork("f", { from: "one" });
    expect(await fork.fs.readFile("/a", "utf8")).toBe("one");
    expect(await ws.fs.readFile("/a", "utf8")).toBe("two");
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

it("a fork that was given no name has one that was free", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  try {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    const names = new Set<string>();
    // More than there are names to begin with.
    for (let n = 0; n < 120; n++) {
      await using fork = await ws.fork();
      names.add(fork.name);
    }
    expect(names.size).toBe(120);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

it.each([true, false])("its source says that it was forked (ephemeral: %s)", async (ephemeral) => {
  const dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  try {
    const kept = ephemeral ? { ephemeral } : { dataDir };
    const ws = await Workspace.create({ ...kept, name: "w" });
    await ws.fs.writeFile("/a", "one");
    const { id: state } = await ws.snapshot({ name: "one" });
    await using fork = await ws.fork("f");
    if (!ephemeral) await expect(ws.fork("f")).rejects.toMatchObject({ code: "EEXIST" });
    await ws.fs.writeFile("/a", "two");
    await ws.snapshot({ name: "two" });
    const of = { other: { id: fork.id, name: "f" } };
    const expected = [
      { kind: "snapshot", number: 1, snapshot: { id: state } },
      { kind: "fork", number: 2, parent: 1, ...of },
      { kind: "snapshot", number: 3, parent: 2 },
    ];
    expect(await ws.log()).toMatchObject(expected);
    expect(await fork.log()).toMatchObject([{ kind: "start", other: { id: ws.id, name: "w" } }]);
    await ws.close();
    if (ephemeral) return;
    await using again = await Workspace.open("w", { dataDir });
    expect(await again.log()).toMatchObject(expected);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
