// Snapshots as files and bytes: out, in, out again, and what is refused.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { silentLog } from "@devdev/testing";
import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;
const at = (name: string) => join(directory, name);

async function sample(options = {}): Promise<Workspace> {
  const ws = await Workspace.create({ clock: () => 1_700_000_000_000_000_000n, ...options });
  await ws.fs.mkdir("/d/e", { recursive: true });
  await ws.fs.writeFile("/d/large", Buffer.alloc(400_000, "some text "));
  await ws.fs.link("/d/large", "/hard");
  await ws.fs.symlink("d/large", "/soft");
  await ws.fs.mknod("/fifo", 0o010644);
  await ws.fs.writeFile(Buffer.from([0x2f, 0xff, 0xfe]), "a name of bytes");
  await ws.fs.setxattr("/d", "user.a", "b");
  const sparse = await ws.fs.open("/sparse", "w");
  await sparse.write("end", 5_000_000);
  await sparse.close();
  return ws;
}

describe.each([
  ["in memory", () => ({})],
  ["in a store", () => ({ dataDir: at("data") })],
])("%s", (_, options) => {
  it("gives the same bytes after an import, with name, message and time", async () => {
    await using ws = await sample(options());
    const taken = await ws.snapshot({ name: "named", message: "said" });
    const bytes = await taken.toBytes();
    await using copy = await Workspace.fromBytes(bytes, options());
    const [only, ...others] = await copy.snapshots();
    expect(others).toEqual([]);
    expect(only).toMatchObject({ id: taken.id, name: "named", message: "said" });
    expect(only!.createdAt).toBe(taken.createdAt);
    expect((await only!.toBytes()).equals(bytes)).toBe(true);
    expect(await copy.fs.readFile("/soft", "utf8")).toBe("some text ".repeat(40_000));
    expect((await copy.diff()).entries).toEqual([]);
    expect((await copy.snapshot()).id).toBe(taken.id);
  });

  it("exports files that import as the same, from either", async () => {
    await using ws = await sample(options());
    const { id } = await ws.snapshot({ name: "n" });
    const written = await ws.exportTo(at("one"), { ref: "n" });
    expect(written).toEqual({ id, bytes: readFileSync(at("one")).length, skipped: 0 });
    await using copy = await Workspace.importFrom(at("one"), options());
    await copy.exportTo(at("two"), { ref: -1 });
    expect(readFileSync(at("two")).equals(readFileSync(at("one")))).toBe(true);
    // The live state is still that snapshot, until it is changed; then it has no name.
    await copy.exportTo(at("unchanged"));
    expect(readFileSync(at("unchanged")).equals(readFileSync(at("one")))).toBe(true);
    await ws.restore("n");
    await ws.exportTo(at("restored"));
    expect(readFileSync(at("restored")).equals(readFileSync(at("one")))).toBe(true);
    await ws.fs.writeFile("/changed", "changed");
    await ws.exportTo(at("three"));
    await using third = await Workspace.importFrom(at("three"), options());
    await third.exportTo(at("four"), { ref: -1 });
    expect(readFileSync(at("four")).equals(readFileSync(at("three")))).toBe(true);
  });

  it("exports what is only in the store", async () => {
    const where = options();
    const ws = await sample({ ...where, name: "w" });
    const bytes = await (await ws.snapshot()).toBytes();
    if (!("dataDir" in where)) return ws.close();
    await ws.close();
    await using back = await Workspace.open("w", { dataDir: at("data") });
    expect((await (await back.snapshots())[0]!.toBytes()).equals(bytes)).toBe(true);
  });
});

it("takes and makes regular files only", async () => {
  await using ws = await sample();
  execFileSync("mkfifo", [at("fifo")]);
  mkdirSync(at("directory"));
  const cases = [
    ["fifo", "EINVAL", `${at("fifo")} is not a regular file`],
    ["directory", "EISDIR", `${at("directory")} is a directory`],
  ] as const;
  for (const [name, code, message] of cases) {
    const refusal = expect.objectContaining({ code, message }) as Error;
    await expect(Workspace.importFrom(at(name))).rejects.toThrow(refusal);
    await expect(ws.exportTo(at(name), { force: true })).rejects.toThrow(refusal);
  }
  await expect(ws.exportTo(at("missing/file"))).rejects.toThrow(
    `ENOENT: no such file or directory, open '${at("missing/file")}'`,
  );
  expect(readdirSync(directory)).toEqual(["directory", "fifo"]);
});

it("an export that is cancelled stops at once and leaves nothing", async () => {
  await using ws = await Workspace.create();
  await ws.fs.writeFile("/large", randomBytes(8_000_000));
  const given = new AbortController();
  const progress: number[] = [];
  const onProgress = (done: number): void => {
    progress.push(done);
    if (progress.length === 2) given.abort();
  };
  const exporting = ws.exportTo(at("file"), { signal: given.signal, onProgress });
  await expect(exporting).rejects.toThrow(code("ECANCELED"));
  expect(progress.length).toBe(2);
  expect(progress.at(-1)).toBeLessThan(8_000_000);
  expect(readdirSync(directory)).toEqual([]);
});

it("replaces a file only when told to, and leaves nothing half done", async () => {
  await using ws = await sample();
  writeFileSync(at("file"), "precious");
  await expect(ws.exportTo(at("file"))).rejects.toThrow(code("EEXIST"));
  await expect(ws.exportTo(at("missing/file"))).rejects.toThrow(code("ENOENT"));
  expect(readFileSync(at("file"), "utf8")).toBe("precious");
  await ws.exportTo(at("file"), { force: true });
  expect(readFileSync(at("file")).length).toBeGreaterThan(100);
  expect(readdirSync(directory)).toEqual(["file"]);
});

it("refuses what is cut short, damaged or something else, and changes nothing", async () => {
  const dataDir = at("data");
  const host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: silentLog });
  try {
    await using ws = await sample();
    const bytes = await (await ws.snapshot()).toBytes();
    const attempt = async (content: Uint8Array): Promise<void> => {
      writeFileSync(at("bad"), content);
      await expect(host.import(at("bad"), {})).rejects.toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^E/) as string }) as Error,
      );
    };
    await attempt(Buffer.from("no export at all"));
    await attempt(new Uint8Array(0));
    for (const length of [1, 10, bytes.length >> 1, bytes.length - 1]) {
      await attempt(bytes.subarray(0, length));
    }
    for (let i = 0; i < 40; i++) {
      const damaged = Buffer.from(bytes);
      const where = (i * 7919) % damaged.length;
      damaged[where] = damaged[where]! ^ (1 << (i % 8));
      await attempt(damaged);
    }
    await attempt(Buffer.concat([bytes, Buffer.from("more")]));
    expect(await host.list()).toEqual([]);
    expect(await host.check()).toEqual([]);
    writeFileSync(at("good"), bytes);
    const summary = await host.import(at("good"), {});
    expect(summary).toMatchObject({ name: "good", snapshots: 1, ephemeral: false });
    expect(summary.snapshot.sequence).toBe(1);
  } finally {
    await host.close();
  }
});

it("does not read or write inside of its own mounts", async () => {
  const dataDir = at("data");
  const host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: silentLog });
  const ws = await host.create({ name: "w" });
  Object.defineProperty(ws, "mountPoint", { value: at("mount") });
  await expect(host.export(ws.id, at("mount/file"), {})).rejects.toThrow(code("EINVAL"));
  await expect(host.import(at("mount/file"), {})).rejects.toThrow(code("EINVAL"));
  expect(existsSync(at("mount"))).toBe(false);
  await host.close();
});
