// A step that fails: the error reaches the caller, the state before is there, and the next attempt
// works.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { silentLog } from "@devdev/testing";
import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let dataDir = "";

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

/** Runs the body of a function of a workspace in a process of its own, where the fault is set. */
function run(fault: string, body: string, options: object = {}): unknown {
  const entry = fileURLToPath(new URL("../dist/index.js", import.meta.url));
  const program = `
    import { Workspace } from ${JSON.stringify(entry)};
    const ws = await Workspace.create(${JSON.stringify({ ...options, dataDir, name: "w" })});
    const attempt = (promise) => promise.then(() => "done", (error) => error.code);
    const read = (path) => ws.fs.readFile(path, "utf8");
    const names = async () => (await ws.snapshots()).map(({ name, sequence }) => name ?? sequence);
    const result = await (async () => { ${body} })();
    await ws.close();
    process.stdout.write(JSON.stringify(result));`;
  const env = { PATH: process.env["PATH"], DEVDEV_FAULT: fault };
  const running = { env, encoding: "utf8", timeout: 100_000 } as const;
  return JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", program], running),
  );
}

it("an fsync that the store fails is EIO, and the next one works (S46)", async () => {
  const result = run(
    "fail:commit:1",
    `const file = await ws.fs.open("/a", "w");
     await file.writeFile("one");
     const failed = await attempt(file.sync());
     const second = await attempt(file.datasync());
     const { dirtyBytes } = await ws.usage();
     return { failed, second, dirtyBytes };`,
    { durable: true },
  );
  expect(result).toEqual({ failed: "EIO", second: "done", dirtyBytes: 0 });
  await expectWhole();
});

async function expectWhole(): Promise<void> {
  const host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: silentLog });
  expect(await host.check()).toEqual([]);
  await host.close();
}

it.each(["flush", "freeze", "persist", "commit"])("a snapshot that fails in %s", async (phase) => {
  const result = run(
    `fail:${phase}:1`,
    `await ws.fs.writeFile("/a", "one");
     const failed = await attempt(ws.snapshot({ name: "first" }));
     const between = await names();
     const second = await attempt(ws.snapshot({ name: "second" }));
     return { failed, between, second, names: await names(), a: await read("/a") };`,
  );
  expect(result).toEqual({
    failed: "EIO",
    between: [],
    second: "done",
    names: ["second"],
    a: "one",
  });
  await expectWhole();
  await using ws = await Workspace.open("w", { dataDir });
  await ws.restore("second");
  expect(await ws.fs.readFile("/a", "utf8")).toBe("one");
});

// The first snapshot passes each phase once or twice: these are within the restore.
it.each(["flush:3", "freeze:3", "persist:3", "commit:3", "restore:1"])(
  "a restore that fails in %s",
  async (phase) => {
    const result = run(
      `fail:${phase}`,
      `await ws.fs.writeFile("/a", "one");
       await ws.snapshot({ name: "one" });
       await ws.fs.writeFile("/a", "two");
       const failed = await attempt(ws.restore("one"));
       const state = [await read("/a"), await names()];
       await ws.fs.writeFile("/b", "goes on");
       return { failed, state, again: await attempt(ws.restore("one")), a: await read("/a") };`,
    );
    const state = ["two", ["one"]];
    expect(result).toEqual({ failed: "EIO", state, again: "done", a: "one" });
    await expectWhole();
    await using ws = await Workspace.open("w", { dataDir });
    expect(await ws.fs.readFile("/a", "utf8")).toBe("one");
    await ws.restore("-1");
    expect(await ws.fs.readFile("/b", "utf8")).toBe("goes on");
  },
);

it("a restore that failed leaves the checkpoint of the state before", async () => {
  run(
    "fail:restore:1",
    `await ws.fs.writeFile("/a", "one");
     await ws.snapshot({ name: "one" });
     await ws.fs.writeFile("/a", "two");
     return attempt(ws.restore("one"));`,
  );
  await using ws = await Workspace.open("w", { dataDir });
  expect(await ws.fs.readFile("/a", "utf8")).toBe("two");
});

it("a checkpoint in the background that fails is tried again", { timeout: 240_000 }, () => {
  const result = run(
    "fail:commit:1",
    `await ws.fs.writeFile("/a", "x".repeat(10000));
     await new Promise((resolve) => setTimeout(resolve, 2500));
     const { dirtyBytes } = await ws.usage();
     for (let i = 0; i < 400 && (await ws.usage()).dirtyBytes > 0; i++) {
       await new Promise((resolve) => setTimeout(resolve, 100));
     }
     return [dirtyBytes > 0, (await ws.usage()).dirtyBytes];`,
  );
  expect(result).toEqual([true, 0]);
});
