// What a workspace in a store keeps when it is closed, and what that costs.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { openSqliteStore } from "@devdev/store";
import { Workspace } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let dataDir = "";

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;

/** Rows and bytes of the store, which must not be open. */
function contents() {
  const store = openSqliteStore(join(dataDir, "store"));
  try {
    const { blocks, metadata } = store;
    const [block, page] = [blocks.scan(0, 100_000), metadata.scanPages(0, 100_000)];
    const all = [...block.objects, ...page.objects];
    return {
      blocks: block.objects.length,
      pages: page.objects.length,
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      rows: metadata.workspaces().flatMap(({ id }) => metadata.snapshots(id)).length,
    };
  } finally {
    store.close();
  }
}

it("comes back as it was closed, contents on demand", async () => {
  const large = Buffer.alloc(300_000, "large ");
  {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    await ws.fs.mkdir("/d/e", { recursive: true });
    await ws.fs.writeFile("/d/e/large", large);
    await ws.fs.symlink("e/large", "/d/link");
    await ws.fs.link("/d/e/large", "/d/hard");
    await ws.fs.chmod("/d", 0o700);
    await ws.fs.setxattr("/d", "user.note", "kept");
    await ws.fs.writeFile("/.devdev/home/profile", "at home");
    await ws.fs.writeFile("/.devdev/tmp/scratch", "gone");
  }
  await using ws = await Workspace.open("w", { dataDir });
  expect((await ws.fs.readdir("/d")).toSorted()).toEqual(["e", "hard", "link"]);
  expect((await ws.fs.readFile("/d/link")).equals(large)).toBe(true);
  expect(await ws.fs.stat("/d/hard")).toMatchObject({ nlink: 2, size: large.length });
  expect((await ws.fs.stat("/d")).mode & 0o777).toBe(0o700);
  expect((await ws.fs.getxattr("/d", "user.note")).toString()).toBe("kept");
  expect(await ws.fs.readFile("/.devdev/home/profile", "utf8")).toBe("at home");
  expect(await ws.fs.readdir("/.devdev/tmp")).toEqual([]);
});

it("reads blocks in the sync forms too, and changes what it has not read", async () => {
  const content = Buffer.alloc(500_000, "0123456789");
  {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    await ws.fs.writeFile("/sync", content);
    await ws.fs.writeFile("/part", content);
  }
  await using ws = await Workspace.open("w", { dataDir });
  expect(ws.fs.readFileSync("/sync").equals(content)).toBe(true);
  const handle = await ws.fs.open("/part", "r+");
  await handle.write("changed", 100_003);
  await handle.close();
  const expected = Buffer.from(content);
  expected.write("changed", 100_003);
  expect((await ws.fs.readFile("/part")).equals(expected)).toBe(true);
});

it("adds a row and no data for a snapshot of an unchanged tree", async () => {
  {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    for (let i = 0; i < 200; i++) await ws.fs.writeFile(`/file-${i}`, `content ${i}`.repeat(500));
    await ws.snapshot();
  }
  const before = contents();
  {
    await using ws = await Workspace.open("w", { dataDir });
    await ws.snapshot();
    await ws.snapshot();
  }
  expect(contents()).toEqual({ ...before, rows: before.rows + 2 });
});

it("stores only what changed, and equal contents once", async () => {
  const content = (n: number) => Buffer.alloc(65_536, `${n} some text that fills a block `);
  {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    for (let i = 0; i < 500; i++) await ws.fs.writeFile(`/file-${i}`, content(i % 100));
    await ws.snapshot();
  }
  const before = contents();
  expect(before.blocks).toBe(100);
  {
    await using ws = await Workspace.open("w", { dataDir });
    await ws.fs.writeFile("/file-250", "edited");
    await ws.snapshot();
  }
  const after = contents();
  expect(after.blocks).toBe(before.blocks + 1);
  // A leaf, the nodes above it, the tree's own page.
  expect(after.pages - before.pages).toBeLessThanOrEqual(5);
  expect(after.bytes - before.bytes).toBeLessThan(20_000);
});

it("is durable at the close, at a checkpoint and, within two seconds, by itself", async () => {
  await using ws = await Workspace.create({ dataDir, name: "w" });
  await ws.fs.writeFile("/a", Buffer.alloc(10_000));
  expect((await ws.usage()).dirtyBytes).toBeGreaterThan(0);
  await ws.checkpoint();
  const { lastCheckpointAt, dirtyBytes } = await ws.usage();
  expect(dirtyBytes).toBe(0);
  expect(Date.now() - lastCheckpointAt!).toBeLessThan(60_000);
  await ws.fs.writeFile("/a", Buffer.alloc(20_000));
  const changedAt = Date.now();
  while ((await ws.usage()).dirtyBytes > 0) {
    expect(Date.now() - changedAt).toBeLessThan(60_000);
    await sleep(20);
  }
  expect((await ws.usage()).lastCheckpointAt).toBeGreaterThanOrEqual(lastCheckpointAt!);
});

it("leaves the checkpoint alone while nothing changes", async () => {
  await using ws = await Workspace.create({ dataDir, name: "w" });
  await ws.fs.writeFile("/a", "one");
  await ws.checkpoint();
  const { lastCheckpointAt } = await ws.usage();
  await sleep(2200);
  await ws.checkpoint();
  expect((await ws.usage()).lastCheckpointAt).toBe(lastCheckpointAt);
});

it("comes back as restored", async () => {
  {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    await ws.fs.writeFile("/a", "one");
    await ws.snapshot({ name: "one" });
    await ws.fs.writeFile("/a", "two");
    await ws.restore("one");
    await ws.fs.writeFile("/b", "after the restore");
  }
  await using ws = await Workspace.open("w", { dataDir });
  expect(await ws.fs.readFile("/a", "utf8")).toBe("one");
  expect(await ws.fs.readFile("/b", "utf8")).toBe("after the restore");
  await ws.restore("#2");
  expect(await ws.fs.readFile("/a", "utf8")).toBe("two");
});

it("never hands out an inode number twice, also across restores and restarts", async () => {
  const seen = new Set<number>();
  {
    await using ws = await Workspace.create({ dataDir, name: "w" });
    await ws.snapshot({ name: "empty" });
    for (let i = 0; i < 20; i++) {
      await ws.fs.writeFile(`/f${i}`, "x");
      seen.add((await ws.fs.stat(`/f${i}`)).ino);
    }
    await ws.restore("empty");
  }
  await using ws = await Workspace.open("w", { dataDir });
  await ws.fs.writeFile("/again", "x");
  expect(seen.has((await ws.fs.stat("/again")).ino)).toBe(false);
});

it("is open once at a time, under a name of its own", async () => {
  await using ws = await Workspace.create({ dataDir, name: "w" });
  await expect(Workspace.create({ dataDir, name: "w" })).rejects.toThrow(code("EEXIST"));
  await expect(Workspace.open("w", { dataDir })).rejects.toThrow(code("EBUSY"));
  await expect(Workspace.open("v", { dataDir })).rejects.toThrow(code("ERR_NO_WORKSPACE"));
  await expect(Workspace.create({ ephemeral: false })).rejects.toThrow(code("ERR_MISSING_ARGS"));
  for (const name of ["", "../up", "-x", "a/b"]) {
    await expect(Workspace.create({ dataDir, name })).rejects.toThrow(
      code("ERR_INVALID_ARG_VALUE"),
    );
  }
  await using other = await Workspace.create({ dataDir });
  expect(other.name).not.toBe(ws.name);
});
