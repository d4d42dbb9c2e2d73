// What a host still answers while one of the threads of its store is in the middle of something.

import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

let dataDir = "";
let host: WorkspaceHost;

/** Opens the host so that it stands still in this phase until `goOn`. */
async function openHolding(phase: string): Promise<void> {
  vi.stubEnv("DEVDEV_FAULT", `hold:${phase}:${join(dataDir, "go")}`);
  const ignore = () => undefined;
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log });
}

const held = () => vi.waitUntil(() => existsSync(join(dataDir, "go.held")), { timeout: 60_000 });
const goOn = () => writeFileSync(join(dataDir, "go"), "");

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(async () => {
  goOn();
  await host.close();
  vi.unstubAllEnvs();
  rmSync(dataDir, { recursive: true, force: true });
});

it("does everything else during a check, which sees the store of one moment", async () => {
  await openHolding("check");
  const ws = await host.create({ name: "w" });
  const gone = await host.create({ name: "gone" });
  await gone.fs.writeFile("/a", "its own".repeat(10_000));
  await gone.snapshot();
  const checking = host.check();
  await held();
  expect((await host.list()).map(({ name }) => name)).toEqual(["w", "gone"]);
  await ws.fs.writeFile("/a", "new".repeat(10_000));
  await ws.snapshot({ name: "meanwhile" });
  await host.create({ name: "another" });
  await host.remove(gone.id, { force: true });
  expect((await host.collect()).bytesFreed).toBeGreaterThan(200);
  goOn();
  expect(await checking).toEqual([]);
  expect(await host.check()).toEqual([]);
});

it("lists, finds and compares while a large state is on its way to the store", async () => {
  await openHolding("persist");
  const idle = await host.create({ name: "idle" });
  const ws = await host.create({ name: "w" });
  await ws.fs.writeFile("/a", "changed");
  const taken = ws.snapshot({ name: "taken" });
  await held();
  const listed = (await host.list()).map(({ name, snapshots }) => [name, snapshots]);
  expect(listed).toEqual([
    ["idle", 0],
    ["w", 0],
  ]);
  expect(await host.open(idle.id)).toBe(idle);
  expect(host.opened()).toEqual([idle, ws]);
  expect(await ws.snapshots()).toEqual([]);
  expect((await ws.diff()).entries).toHaveLength(1);
  goOn();
  expect(await taken).toMatchObject({ name: "taken" });
  expect(await ws.snapshots()).toMatchObject([{ name: "taken" }]);
});

it("gives an import up in its midst, and nothing is left of it (S44)", async () => {
  await openHolding("persist");
  const file = join(dataDir, "file");
  {
    await using ws = await Workspace.create();
    await ws.fs.writeFile("/large", randomBytes(40 << 20));
    await ws.exportTo(file);
  }
  const cancelling = new AbortController();
  const { signal } = cancelling;
  const failure = host.import(file, { signal }).catch((error: unknown) => error);
  await held();
  cancelling.abort();
  goOn();
  const message = "the import was cancelled";
  expect(await failure).toMatchObject({ code: "ECANCELED", message });
  expect(await host.list()).toEqual([]);
  await expect(host.import(file, { signal })).rejects.toThrow(message);
  expect(await host.import(file, {})).toMatchObject({ name: "file", snapshots: 1 });
  expect(await host.check()).toEqual([]);
});

it("closes while a check is under way, which then fails", async () => {
  await openHolding("check");
  await host.create({ name: "w" });
  const checking = host.check();
  await held();
  const failure = checking.catch((error: unknown) => error);
  await host.close();
  expect(await failure).toMatchObject({ code: "ERR_STORE_CLOSED" });
});
