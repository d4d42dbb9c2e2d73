// S90: what a snapshot stores goes with what changed, counted in the objects of the store.

import { randomFillSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openSqliteStore } from "@devdev/store";
import { Workspace } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-increments-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

/** What lies in the store of workspaces that are closed. */
function objects(): { blocks: number; pages: number } {
  const store = openSqliteStore(join(dataDir, "store"));
  try {
    const blocks = store.blocks.scan(0, 1_000_000).objects.length;
    const pages = store.metadata.scanPages(0, 1_000_000).objects.length;
    return { blocks, pages };
  } finally {
    store.close();
  }
}

it("S90: one byte of a file of 50 MiB is one block", { timeout: 240_000 }, async () => {
  {
    await using ws = await Workspace.create({ name: "w", dataDir });
    ws.fs.writeFileSync("/large", randomFillSync(Buffer.alloc(50 << 20)));
    for (let n = 0; n < 1000; n++) ws.fs.writeFileSync(`/f${n}`, `file ${n}`);
    await ws.snapshot();
  }
  const before = objects();
  {
    await using ws = await Workspace.open("w", { dataDir });
    await using file = await ws.fs.open("/large", "r+");
    await file.write(Buffer.from([1]), 0, 1, 25 << 20);
    await ws.snapshot();
  }
  const after = objects();
  expect(after.blocks - before.blocks).toBe(1);
  // The segment, the leaf of its inode, the nodes above and the tree's own.
  expect(after.pages - before.pages).toBeLessThan(8);
});

it("S90: an unchanged tree is no new page, and the same id after a restore", async () => {
  {
    await using ws = await Workspace.create({ name: "w", dataDir });
    for (let n = 0; n < 100; n++) ws.fs.writeFileSync(`/f${n}`, `file ${n}`);
    const first = await ws.snapshot();
    ws.fs.writeFileSync("/f7", "changed");
    const second = await ws.snapshot();
    await ws.restore(first.id);
    expect((await ws.snapshot()).id).toBe(first.id);
    await ws.restore(second.id);
    const again = await ws.snapshot();
    expect(again.id).toBe(second.id);
    expect(again.filesChanged).toBe(1);
    expect(ws.fs.readFileSync("/f7", "utf8")).toBe("changed");
  }
  const { pages } = objects();
  {
    await using ws = await Workspace.open("w", { dataDir });
    await ws.snapshot();
  }
  expect(objects().pages).toBe(pages);
});

it("S90: a hundred snapshots are listed, by name too", async () => {
  await using ws = await Workspace.create({ name: "w", dataDir });
  for (let n = 0; n < 100; n++) {
    ws.fs.writeFileSync("/file", String(n));
    await ws.snapshot({ name: `s${n}` });
  }
  expect((await ws.snapshots()).map(({ name }) => name)).toEqual(
    Array.from({ length: 100 }, (_, n) => `s${n}`),
  );
  expect(ws.fs.readdirSync("/.devdev/snapshots")).toHaveLength(100);
  await ws.restore("s3");
  expect(ws.fs.readFileSync("/file", "utf8")).toBe("3");
  expect(ws.fs.readFileSync("/.devdev/snapshots/s42/file", "utf8")).toBe("42");
});
