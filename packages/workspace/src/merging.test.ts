// Forks and merges in one process: what the store keeps for them, and whom a merge refuses.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let dataDir = "";
let host: WorkspaceHost;

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: quiet });
});
afterEach(async () => {
  await host.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;

async function reopen(): Promise<void> {
  await host.close();
  host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: quiet });
}

it("S76 keeps what a merge will need, whatever is removed and collected meanwhile", async () => {
  const source = await host.create({ name: "source" });
  const text = (n: number) => Buffer.alloc(100_000, `block ${n} `);
  await source.fs.writeFile("/a", text(1));
  await source.fs.writeFile("/b", "b");
  const [one, two] = [await host.fork(source.id, { name: "one" }), await host.fork(source.id)];
  expect(two.name).toBe("source-fork");
  for (const each of [source, one, two]) {
    await each.fs.rm("/a");
    await each.fs.writeFile("/b", each.name);
    await each.checkpoint();
  }
  await host.remove(source.id, { force: true });
  await host.collect();
  await reopen();
  const [a, b] = [await host.open(one.id), await host.open(two.id)];
  // The base still has its blocks: forks of one workspace merge without it.
  const merged = await a.merge(b, { resolve: "theirs" });
  expect(merged).toMatchObject({ merged: true, conflicts: [{ path: "/b", kind: "content" }] });
  expect(await a.fs.readFile("/b", "utf8")).toBe("source-fork");
  expect(await host.check()).toEqual([]);
});

it("never uses an inode number twice, and shares what it did not change", async () => {
  const source = await host.create({ name: "source" });
  await source.fs.writeFile("/old", "x");
  const fork = await host.fork(source.id, { name: "fork" });
  await fork.fs.writeFile("/new", "y");
  await fork.fs.writeFile("/old", "changed in the fork");
  await source.fs.writeFile("/own", "z");
  const seen = new Set(
    (await source.fs.readdir("/")).map((name) => source.fs.statSync(`/${name}`).ino),
  );
  await source.merge(fork);
  expect(seen.has((await source.fs.stat("/new")).ino)).toBe(false);
  expect((await source.fs.stat("/old")).ino).toBe((await fork.fs.stat("/old")).ino);
  expect(await source.fs.readFile("/old", "utf8")).toBe("changed in the fork");
  // Blocks of the fork that only the store has.
  await host.remove(fork.id, { force: true });
  await host.collect();
  await reopen();
  const again = await host.open(source.id);
  expect(await again.fs.readFile("/new", "utf8")).toBe("y");
  expect(await host.check()).toEqual([]);
});

it("merges what went on while it merged, or not at all", async () => {
  const source = await host.create({ name: "source" });
  for (let n = 0; n < 300; n++) await source.fs.writeFile(`/f${n}`, `${n}`);
  const fork = await host.fork(source.id, { name: "fork" });
  for (let n = 0; n < 300; n++) await fork.fs.writeFile(`/f${n}`, `fork ${n}`);
  const state = { done: false };
  const written: string[] = [];
  const writing = (async () => {
    for (let n = 0; !state.done; n++) {
      await source.fs.writeFile(`/w${n}`, "w");
      written.push(`w${n}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const merged = await source.merge(fork).catch((error: unknown) => error);
  state.done = true;
  await writing;
  const names = new Set(await source.fs.readdir("/"));
  expect(written.filter((name) => !names.has(name))).toEqual([]);
  const expected = merged instanceof Error ? "0" : "fork 0";
  expect(await source.fs.readFile("/f0", "utf8")).toBe(expected);
  if (merged instanceof Error) expect(merged).toEqual(code("EBUSY"));
});

it("ephemeral workspaces are forked and merged in memory", async () => {
  await using source = await Workspace.create();
  await source.fs.writeFile("/f", "1\n2\n3\n4\n5\n");
  await using fork = await source.fork("fork");
  await using deep = await fork.fork();
  await deep.fs.writeFile("/f", "1\n2\n3\n4\nfive\n");
  await source.fs.writeFile("/f", "one\n2\n3\n4\n5\n");
  await expect(source.merge(deep, { firstWins: true })).rejects.toThrow(code("ERR_TARGET_CHANGED"));
  const { before } = await source.merge(deep);
  expect(await source.fs.readFile("/f", "utf8")).toBe("one\n2\n3\n4\nfive\n");
  await source.restore(before!.id);
  expect(await source.fs.readFile("/f", "utf8")).toBe("one\n2\n3\n4\n5\n");
  expect(await source.merge(deep)).toMatchObject({ merged: true });
  await source.undo();
  expect(await source.fs.readFile("/f", "utf8")).toBe("one\n2\n3\n4\n5\n");
  await source.redo();
  expect(await source.fs.readFile("/f", "utf8")).toBe("one\n2\n3\n4\nfive\n");
  expect(await source.merge(deep)).toMatchObject({ merged: false });
  await using other = await Workspace.create();
  await expect(source.merge(other)).rejects.toThrow(code("ERR_UNRELATED"));
  await expect(source.merge(source)).rejects.toThrow(code("EINVAL"));
});

it("S74 an undone merge can be made again, in memory and in a store", async () => {
  const kept = await host.create({ name: "source" });
  await using inMemory = await Workspace.create();
  for (const source of [kept, inMemory]) {
    await source.fs.writeFile("/f", "1\n2\n3\n4\n5\n");
    const fork = await (source === kept ? host.fork(kept.id) : source.fork());
    await fork.fs.writeFile("/f", "1\n2\n3\n4\nfive\n");
    await fork.fs.writeFile("/new", "n");
    await source.merge(fork);
    await source.fs.writeFile("/own", "o");
    // Two steps: what was written since, and the merge.
    await source.undo();
    expect(await source.merge(fork)).toMatchObject({ merged: false });
    await source.undo();
    expect(await source.fs.readFile("/f", "utf8")).toBe("1\n2\n3\n4\n5\n");
    await fork.fs.writeFile("/new", "newer");
    const again = await source.merge(fork);
    expect(again).toMatchObject({ merged: true, conflicts: [] });
    expect(again.entries.map(({ path }) => path)).toEqual(["/f", "/new"]);
    expect(await source.fs.readFile("/new", "utf8")).toBe("newer");
    if (source !== kept) await fork.close();
  }
});

it("S72 forks of a fork have what that, or the target, merged before they were made", async () => {
  const kept = await host.create({ name: "source" });
  await using inMemory = await Workspace.create();
  for (const source of [kept, inMemory]) {
    const forked = async (of: Workspace, name: string): Promise<Workspace> =>
      source === kept ? host.fork(of.id, { name }) : of.fork(name);
    await source.fs.writeFile("/f", "1\n");
    await source.fs.writeFile("/g", "1\n");
    const fork = await forked(source, "fork");
    await fork.fs.writeFile("/f", "fork\n");
    await source.merge(fork);
    await source.fs.writeFile("/g", "source\n");
    await fork.merge(source);
    const deep = await forked(fork, "deep");
    // Had only the beginning been common, both would be changes of both.
    await source.fs.writeFile("/f", "source again\n");
    await deep.fs.writeFile("/g", "deep\n");
    const merged = await source.merge(deep);
    expect(merged).toMatchObject({ merged: true, conflicts: [] });
    expect(merged.entries.map(({ path }) => path)).toEqual(["/g"]);
    expect(await source.fs.readFile("/f", "utf8")).toBe("source again\n");
    if (source === kept) continue;
    await deep.close();
    await fork.close();
  }
});

it("many forks take little", { timeout: 240_000 }, async () => {
  const source = await host.create({ name: "source" });
  for (let n = 0; n < 2000; n++) await source.fs.writeFile(`/f${n}`, `content ${n}`);
  await source.checkpoint();
  const before = process.memoryUsage.rss();
  const forks = 100;
  for (let n = 0; n < forks; n++) {
    const fork = await host.fork(source.id, { name: `fork-${n}` });
    await fork.fs.writeFile(`/f${n}`, "changed");
  }
  // A copy of the tree alone would take 600 KiB for each; scripts/forks has the exact figures.
  expect((process.memoryUsage.rss() - before) / forks).toBeLessThan(500 << 10);
});

it("S70 forks share memory also when they are brought back from the store", async () => {
  const source = await host.create({ name: "source" });
  for (let n = 0; n < 20_000; n++) source.fs.writeFileSync(`/f${n}`, `content ${n}`);
  const ids: string[] = [];
  for (let n = 0; n < 12; n++) {
    const fork = await host.fork(source.id, { name: `fork-${n}` });
    await fork.fs.writeFile(`/f${n}`, "changed");
    ids.push(fork.id);
  }
  await reopen();
  await host.open(source.id);
  const before = process.memoryUsage.rss();
  for (const id of ids) {
    const fork = await host.open(id);
    expect(await fork.fs.readFile(`/f${ids.indexOf(id)}`, "utf8")).toBe("changed");
  }
  // A tree of its own takes 6 MiB and more.
  expect((process.memoryUsage.rss() - before) / ids.length).toBeLessThan(3 << 20);
});
