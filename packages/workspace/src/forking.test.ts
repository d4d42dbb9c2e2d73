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
