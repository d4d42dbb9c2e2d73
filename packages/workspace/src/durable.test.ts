// A durable workspace (S46): what sync has returned for is in the store, whatever happens then.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Vfs } from "@devdev/vfs";
import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

import { Checkpointer } from "./checkpointer.js";
import { MemoryKeeper } from "./memory-keeper.js";
import { Mutex } from "./mutex.js";

let dataDir = "";

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

async function writeSynced(ws: Workspace, path: string, text: string): Promise<void> {
  const handle = await ws.fs.open(path, "w");
  await handle.writeFile(text);
  await handle.sync();
  await handle.close();
}

it("keeps what was synced, and what was done before it elsewhere, without a checkpoint", async () => {
  const first = await Workspace.create({ dataDir, name: "w", durable: true });
  await first.fs.writeFile("/before", "before");
  await writeSynced(first, "/synced", "synced");
  expect(await first.usage()).toMatchObject({ dirtyBytes: 0 });
  await first.discard();
  const second = await Workspace.open("w", { dataDir });
  expect(await second.fs.readFile("/synced", "utf8")).toBe("synced");
  expect(await second.fs.readFile("/before", "utf8")).toBe("before");
  // It is durable still: that is kept with it.
  await writeSynced(second, "/again", "again");
  expect(await second.usage()).toMatchObject({ dirtyBytes: 0 });
  await second.discard();
});

it("needs a store, and shows in the list of workspaces", async () => {
  const refused = { code: "ERR_INVALID_ARG_VALUE" };
  await expect(Workspace.create({ durable: true })).rejects.toMatchObject(refused);
  const nothing = () => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log });
  await host.create({ name: "kept" });
  await host.create({ name: "durable", durable: true });
  await host.create({ name: "ephemeral", ephemeral: true });
  const list = (await host.list()).map(({ name, durable }) => [name, durable]);
  expect(Object.fromEntries(list)).toEqual({ kept: false, durable: true, ephemeral: false });
  await host.close();
});

/** Counts checkpoints, and lets each wait until the test says how it ends. */
class SlowKeeper extends MemoryKeeper {
  readonly waiting: PromiseWithResolvers<void>[] = [];
  override async checkpoint(): Promise<void> {
    const one = Promise.withResolvers<void>();
    this.waiting.push(one);
    await one.promise;
  }
}

function slow(): { vfs: Vfs; keeper: SlowKeeper; mutex: Mutex; checkpointer: Checkpointer } {
  const [vfs, keeper, mutex] = [Vfs.create(), new SlowKeeper(), new Mutex()];
  const nothing = () => undefined;
  const options = { vfs, keeper, mutex, now: Date.now, busy: () => false, onKept: nothing };
  const checkpointer = new Checkpointer({ ...options, onFailure: nothing }, undefined);
  return { vfs, keeper, mutex, checkpointer };
}

const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("serves many syncs with one checkpoint, and a later change with another", async () => {
  const { vfs, keeper, checkpointer } = slow();
  using _ = vfs;
  vfs.fs.writeFileSync("/a", "1");
  const first = [checkpointer.sync(), checkpointer.sync(), checkpointer.sync()];
  await turns();
  vfs.fs.writeFileSync("/a", "2");
  const later = [checkpointer.sync(), checkpointer.sync()];
  await turns();
  expect(keeper.waiting.length).toBe(1);
  keeper.waiting[0]!.resolve();
  await Promise.race(first);
  await turns();
  expect(keeper.waiting.length).toBe(2);
  keeper.waiting[1]!.resolve();
  await Promise.all([...first, ...later]);
  await checkpointer.sync();
  expect(keeper.waiting.length).toBe(2);
});

it("fails when the store does, and works again when that does", async () => {
  const { vfs, keeper, checkpointer } = slow();
  using _ = vfs;
  const failing = checkpointer.sync().catch((error: unknown) => error);
  await turns();
  keeper.waiting[0]!.reject(new Error("no space"));
  expect(await failing).toEqual(new Error("no space"));
  const again = checkpointer.sync();
  await turns();
  keeper.waiting[1]!.resolve();
  await again;
});

it("goes on while a restore waits for processes, which may be the ones that sync", async () => {
  const { vfs, keeper, mutex, checkpointer } = slow();
  using _ = vfs;
  await mutex.run(async () => {
    const queued = checkpointer.sync();
    await turns();
    expect(keeper.waiting.length).toBe(0);
    await checkpointer.meanwhile(async () => {
      await turns();
      keeper.waiting[0]!.resolve();
      await queued;
      vfs.fs.writeFileSync("/a", "1");
      const during = checkpointer.sync();
      await turns();
      keeper.waiting[1]!.resolve();
      await during;
    });
  });
  expect(checkpointer.clean).toBe(true);
});
