// Snapshots go by rule, by name and when the store is full; what others share with them stays.

import { mkdtempSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let dataDir = "";
let host: WorkspaceHost;
const quiet = () => undefined;

async function opened(): Promise<WorkspaceHost> {
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  return WorkspaceHost.open({ dataDir, runDir: dataDir, log });
}
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  host = await opened();
});
afterEach(async () => {
  await host.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const numbers = async (ws: { snapshots(): Promise<Array<{ sequence: number }>> }) =>
  (await ws.snapshots()).map(({ sequence }) => sequence);

/** So many snapshots of one file with other bytes each time. */
async function take(ws: Workspace, count: number, bytes = 100_000): Promise<void> {
  for (let i = 0; i < count; i++) {
    await ws.fs.writeFile("/f", randomBytes(bytes));
    await ws.snapshot();
  }
}

it("S80 applies a rule at once, after each snapshot, and again after a start", async () => {
  const ws = await host.create({ name: "w" });
  await take(ws, 3);
  await ws.snapshot({ name: "good" });
  expect(await ws.retention({ keepLast: 2 })).toEqual({ keepLast: 2 });
  expect(await numbers(ws)).toEqual([2, 3, 4]);
  await take(ws, 2);
  await expect.poll(() => numbers(ws)).toEqual([4, 5, 6]);
  await host.close();
  host = await opened();
  const again = await host.open(ws.id);
  expect(await again.retention()).toEqual({ keepLast: 2 });
  await take(again, 1);
  await expect.poll(() => numbers(again)).toEqual([4, 6, 7]);
  expect(await again.fs.readdir("/.devdev/snapshots")).toEqual(["#6", "#7", "good"]);
});

it("S80 holds for workspaces in memory, and is an option of new ones", async () => {
  await using ws = await Workspace.create({ retention: { keepLast: 1 } });
  await take(ws, 3);
  await expect.poll(() => numbers(ws)).toEqual([3]);
  expect(await ws.retention({ keepLast: null })).toEqual({});
});

it("S81 removes snapshots by every kind of reference, all or none", async () => {
  const ws = await host.create({ name: "w" });
  await take(ws, 4);
  await ws.snapshot({ name: "good" });
  await expect(ws.removeSnapshots(["#1", "nonsense"])).rejects.toMatchObject({
    code: "ERR_NO_SNAPSHOT",
  });
  expect(await numbers(ws)).toHaveLength(5);
  const id = (await ws.snapshots())[1]!.id;
  const removed = await ws.removeSnapshots(["good", id.slice(0, 12), -2, "#1"]);
  expect(removed.map(({ sequence }) => sequence).toSorted((a, b) => a - b)).toEqual([1, 2, 4, 5]);
  expect(await numbers(ws)).toEqual([3]);
  await expect(ws.restore("good")).rejects.toMatchObject({ code: "ERR_NO_SNAPSHOT" });
});

it("S82 gives back what nothing refers to, and nothing else, as the dry run said", async () => {
  const [ws, other] = [await host.create({ name: "w" }), await host.create({ name: "o" })];
  const shared = randomBytes(300_000);
  for (const each of [ws, other]) {
    await each.fs.writeFile("/shared", shared);
    await each.snapshot({ name: "common" });
  }
  await take(ws, 6);
  await ws.removeSnapshots(["common", "#2", "#3", "#4"]);
  await ws.fs.rm("/shared");
  await ws.checkpoint();
  const plan = await host.store.gc({ dryRun: true });
  expect(plan).toMatchObject({ dryRun: true, workspaces: [] });
  expect(plan.bytesFreed).toBeGreaterThan(290_000);
  const done = await host.store.gc();
  expect([done.bytesFreed, done.bytesKept]).toEqual([plan.bytesFreed, plan.bytesKept]);
  expect(await host.check()).toEqual([]);
  await other.restore("common");
  expect(shared.equals(await other.fs.readFile("/shared"))).toBe(true);
});

it("S82 names what rules would remove, also of workspaces that are not open", async () => {
  const ws = await host.create({ name: "w", retention: { keepYoungerMs: 0 } });
  await take(ws, 1);
  await ws.close();
  const { workspaces } = await host.store.gc({ dryRun: true });
  expect(workspaces).toEqual([]);
  const again = await host.open(ws.id);
  await again.retention({ keepYoungerMs: null });
  await take(again, 3);
  await again.retention({ keepYoungerMs: 3_600_000 });
  await again.close();
  expect((await host.store.gc({ dryRun: true })).workspaces).toEqual([]);
  expect(await numbers(await host.open(ws.id))).toHaveLength(4);
});

it("S83 what reads a snapshot goes on when that is removed and collected", async () => {
  const ws = await host.create({ name: "w" });
  const content = randomBytes(400_000);
  await ws.fs.writeFile("/f", content);
  await ws.snapshot({ name: "old" });
  await ws.fs.rm("/f");
  await take(ws, 1);
  await ws.close();
  const again = await host.open(ws.id);
  const pieces = again.exportPieces("old");
  const first = (await pieces.next()).value as Buffer;
  await again.removeSnapshots(["old"]);
  await host.store.gc();
  const rest: Buffer[] = [first];
  for await (const piece of pieces) rest.push(piece);
  await using copy = await Workspace.fromBytes(Buffer.concat(rest));
  expect(content.equals(await copy.fs.readFile("/f"))).toBe(true);
  expect((await host.store.gc()).bytesFreed).toBeGreaterThan(390_000);
});

it("S84 keeps a store below its limit, at the cost of the oldest automatic snapshots", async () => {
  const ws = await host.create({ name: "w" });
  await ws.fs.writeFile("/f", randomBytes(500_000));
  await ws.snapshot({ name: "start" });
  for (let i = 0; i < 6; i++) {
    await ws.fs.writeFile("/f", randomBytes(500_000));
    await ws.restore("start");
  }
  const full = await host.store.quota();
  expect(full.bytes).toBeGreaterThan(3_400_000);
  const { bytes, exceeded } = await host.store.quota(2_000_000);
  expect(exceeded).toBeUndefined();
  expect(bytes).toBeLessThan(2_000_000);
  const left = await ws.snapshots();
  expect(left[0]!.name).toBe("start");
  expect(left.at(-1)!.sequence).toBe(7);
  expect(left.length).toBeLessThan(6);
  expect(await host.check()).toEqual([]);
});

it("S84 says that a limit cannot be kept, and refuses no write", async () => {
  const ws = await host.create({ name: "w" });
  await host.store.quota(300_000);
  await take(ws, 3, 400_000);
  expect(await numbers(ws)).toHaveLength(3);
  expect((await host.store.quota()).exceeded).toContain("raise the limit");
  expect((await host.store.quota(null)).exceeded).toBeUndefined();
  expect((await host.store.gc()).quota.limit).toBeUndefined();
});
