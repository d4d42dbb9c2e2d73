// The workspaces of a data directory, as a daemon has them. Nothing here is mounted.

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { DATABASE_FILE } from "@devdev/store";
import { WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

let dataDir = "";
let host: WorkspaceHost;
const logged: string[] = [];

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;

function openHost(): Promise<WorkspaceHost> {
  const ignore = () => undefined;
  const note = (_: object, message: string) => void logged.push(message);
  return WorkspaceHost.open({
    dataDir,
    runDir: dataDir,
    log: { debug: ignore, info: ignore, warn: note, error: note },
  });
}

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  host = await openHost();
});
afterEach(async () => {
  await host.close();
  rmSync(dataDir, { recursive: true, force: true });
});

it("lists what there is, stored and ephemeral, oldest first", async () => {
  expect(await host.list()).toEqual([]);
  const first = await host.create({ name: "first" });
  const beside = await host.create({ ephemeral: true, name: "beside" });
  await host.create({ mountPath: "/home/somebody/my project" });
  await first.snapshot();
  await beside.snapshot();
  await beside.snapshot();
  expect(
    (await host.list()).map(({ name, ephemeral, snapshots }) => [name, ephemeral, snapshots]),
  ).toEqual([
    ["first", false, 1],
    ["beside", true, 2],
    ["my project", false, 0],
  ]);
});

it("lists those that were made in one millisecond in the order of their making", async () => {
  const time = vi.spyOn(Date, "now").mockReturnValue(Date.now());
  try {
    const names = Array.from({ length: 12 }, (_, n) => `w${n}`);
    for (const [n, name] of names.entries()) await host.create({ name, ephemeral: n % 3 === 1 });
    expect((await host.list()).map(({ name }) => name)).toEqual(names);
  } finally {
    time.mockRestore();
  }
});

it("gives out one object for each workspace, also to who asks at once", async () => {
  const made = await host.create({ name: "w" });
  expect(await host.open(made.id)).toBe(made);
  await host.close();
  host = await openHost();
  const [one, two] = await Promise.all([host.open(made.id), host.open(made.id)]);
  expect(one).toBe(two);
  expect(one).not.toBe(made);
  await expect(host.open("nothing")).rejects.toThrow(code("ENOENT"));
});

it("makes names unique that nobody chose, and refuses those that somebody did", async () => {
  const names: string[] = [];
  for (let i = 0; i < 3; i++) names.push((await host.create({ mountPath: "/x/repo" })).name);
  expect(names).toEqual(["repo", "repo-2", "repo-3"]);
  await host.create({ ephemeral: true, name: "mine" });
  await expect(host.create({ name: "mine" })).rejects.toThrow(code("EEXIST"));
  await expect(host.create({ ephemeral: true, name: "repo" })).rejects.toThrow(code("EEXIST"));
});

it("brings everything back after a close, but what was ephemeral", async () => {
  const stored = await host.create({ name: "stored", maxInodes: 1000 });
  await stored.fs.writeFile("/a", "kept");
  const beside = await host.create({ ephemeral: true });
  await beside.fs.writeFile("/a", "not kept");
  await host.close();
  host = await openHost();
  const [only, ...others] = await host.list();
  expect(others).toEqual([]);
  const back = await host.open(only!.id);
  expect(await back.fs.readFile("/a", "utf8")).toBe("kept");
  expect((await back.usage()).maxInodes).toBe(1000);
});

it("forgets a workspace that was closed, and opens it again", async () => {
  const made = await host.create({ name: "w" });
  await made.fs.writeFile("/a", "one");
  await made.close();
  const again = await host.open(made.id);
  expect(again).not.toBe(made);
  expect(await again.fs.readFile("/a", "utf8")).toBe("one");
});

it("removes a workspace with its snapshots, and later its data", async () => {
  const kept = await host.create({ name: "kept" });
  await kept.fs.writeFile("/shared", "in both".repeat(10_000));
  await kept.snapshot();
  const gone = await host.create({ name: "gone" });
  await gone.fs.writeFile("/shared", "in both".repeat(10_000));
  await gone.fs.writeFile(
    "/alone",
    Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i) % 251)),
  );
  await gone.snapshot();
  await host.remove(gone.id, { force: false });
  expect((await host.list()).map(({ name }) => name)).toEqual(["kept"]);
  await expect(host.remove(gone.id, { force: true })).rejects.toThrow(code("ENOENT"));
  expect((await host.collect()).bytesFreed).toBeGreaterThan(200);
  expect(await host.check()).toEqual([]);
  expect(await kept.fs.readFile("/shared", "utf8")).toBe("in both".repeat(10_000));
  const beside = await host.create({ ephemeral: true });
  await host.remove(beside.id, { force: false });
  expect(await host.list()).toHaveLength(1);
});

it("shrinks the store by itself when a workspace was removed", { timeout: 240_000 }, async () => {
  const gone = await host.create({ name: "gone" });
  await gone.fs.writeFile("/large", randomBytes(8 << 20));
  await gone.close();
  const sizeWithin = async (least: number, most: number): Promise<void> => {
    const end = Date.now() + 60_000;
    const size = () => statSync(join(dataDir, "store", DATABASE_FILE)).size;
    while (size() < least || size() > most) {
      expect(Date.now()).toBeLessThan(end);
      await sleep(100);
    }
  };
  // When it is idle, what the log has is copied into the file.
  await sizeWithin(8 << 20, 10 << 20);
  await host.remove(gone.id, { force: false });
  await sizeWithin(1, 1 << 20);
  expect(await host.check()).toEqual([]);
});

it("is refused a data directory that is in use, or that is none", async () => {
  await host.close();
  const database = join(dataDir, "store", DATABASE_FILE);
  writeFileSync(database, "this is no database".repeat(1000));
  await expect(openHost()).rejects.toThrow(code("ERR_STORE_CORRUPT"));
  rmSync(database);
  host = await openHost();
});

it("refuses everything once it closes", async () => {
  const made = await host.create({ name: "w" });
  await host.close();
  await expect(host.open(made.id)).rejects.toThrow(code("ERR_STOPPING"));
  await expect(host.create({})).rejects.toThrow(code("ERR_STOPPING"));
  expect(logged).toEqual([]);
});
