// Garbage collection under load: whatever happens meanwhile, nothing that is needed goes.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { silentLog } from "@devdev/testing";
import { type Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let dataDir = "";
let host: WorkspaceHost;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: silentLog });
});
afterEach(async () => {
  await host.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const content = (seed: number) => Buffer.alloc(70_000, `content of ${seed % 40} `);

/** Makes and drops contents that others have too, with snapshots and restores in between. */
async function churn(ws: Workspace, seed: number): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await ws.fs.writeFile(`/file-${(i * seed) % 13}`, content(i * seed));
    if (i % 7 === 0) await ws.fs.rm(`/file-${(i * seed) % 13}`);
    if (i % 5 === 0) await ws.checkpoint();
    if (i % 11 === 0) await ws.snapshot();
    if (i % 23 === 22) await ws.restore(-1);
  }
}

it("spares all that commits rely on while it runs", { timeout: 240_000 }, async () => {
  const all = await Promise.all(["a", "b", "c"].map((name) => host.create({ name })));
  const state = { done: false };
  const working = Promise.all(all.map((ws, i) => churn(ws, 3 + 2 * i))).finally(
    () => (state.done = true),
  );
  let freed = 0;
  let collections = 0;
  while (!state.done) {
    freed += (await host.collect()).bytesFreed;
    collections += 1;
  }
  await working;
  expect(collections).toBeGreaterThan(10);
  expect(freed).toBeGreaterThan(0);
  expect(await host.check()).toEqual([]);
});

it("keeps the blocks of open files that have no name", async () => {
  const made = await host.create({ name: "w" });
  await made.fs.writeFile("/open", content(1));
  await made.close();
  const ws = await host.open(made.id);
  // Not read before: its bytes are in the store only.
  const handle = await ws.fs.open("/open", "r");
  await ws.fs.rm("/open");
  await ws.checkpoint();
  await host.collect();
  expect(content(1).equals((await handle.readFile()) as Buffer)).toBe(true);
  await handle.close();
  await host.collect();
  expect(await host.check()).toEqual([]);
});

it("gives back what nothing refers to any more", async () => {
  const ws = await host.create({ name: "w" });
  await ws.fs.writeFile(
    "/a",
    Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i * 7) % 256)),
  );
  await ws.checkpoint();
  expect((await host.collect()).bytesFreed).toBe(0);
  await ws.fs.rm("/a");
  await ws.checkpoint();
  const { bytesFreed, bytesKept } = await host.collect();
  expect(bytesFreed).toBeGreaterThan(300);
  expect(bytesKept).toBeLessThan(2000);
  expect((await host.collect()).bytesFreed).toBe(0);
});
