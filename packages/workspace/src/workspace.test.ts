// The library as its callers use it, in memory and in a store alike. Nothing here is mounted.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace } from "@devdev/workspace";
import type { WorkspaceOptions } from "@devdev/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let directory = "";
let open: Workspace[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-test-"));
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  rmSync(directory, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;

describe.each([
  ["in memory", () => ({})],
  ["in a store", () => ({ dataDir: directory })],
] as Array<[string, () => WorkspaceOptions]>)("a workspace %s", (_, options) => {
  async function create(more: WorkspaceOptions = {}): Promise<Workspace> {
    const made = await Workspace.create({ ...options(), ...more });
    open.push(made);
    return made;
  }

  it("takes a snapshot and tells what it holds", async () => {
    const ws = await create();
    await ws.fs.writeFile("/a", "one");
    await ws.fs.mkdir("/d");
    const first = await ws.snapshot({ name: "first", message: "to begin with" });
    expect(first).toMatchObject({
      sequence: 1,
      name: "first",
      message: "to begin with",
      automatic: false,
      filesChanged: 2,
    });
    expect(first.id).toMatch(/^[0-9a-f]{64}$/);
    await ws.fs.writeFile("/d/b", "two");
    const second = await ws.snapshot();
    // The file, and the directory that it is in.
    expect(second.filesChanged).toBeGreaterThanOrEqual(1);
    expect(second.filesChanged).toBeLessThanOrEqual(2);
    expect((await ws.snapshots()).map((each) => [each.sequence, each.id])).toEqual([
      [1, first.id],
      [2, second.id],
    ]);
  });

  it("gives equal trees equal ids, and an unchanged tree a row of its own", async () => {
    const ws = await create();
    await ws.fs.writeFile("/a", "one");
    const first = await ws.snapshot();
    const again = await ws.snapshot();
    expect(again).toMatchObject({ id: first.id, sequence: 2, filesChanged: 0 });
    await ws.fs.writeFile("/a", "two");
    expect((await ws.snapshot()).id).not.toBe(first.id);
  });

  it("restores by name, id, prefix, number and position, and undoes a restore", async () => {
    const ws = await create();
    const ids: string[] = [];
    for (const text of ["one", "two", "three"]) {
      await ws.fs.writeFile("/a", text);
      ids.push((await ws.snapshot({ name: text })).id);
    }
    const read = () => ws.fs.readFile("/a", "utf8");
    const result = await ws.restore("one");
    expect(result).toMatchObject({ id: ids[0], filesChanged: 1 });
    expect(result.before).toMatchObject({ automatic: true, sequence: 4, id: ids[2] });
    expect(await read()).toBe("one");
    await ws.restore(result.before.id);
    expect(await read()).toBe("three");
    await ws.restore(ids[1]!.slice(0, 8));
    expect(await read()).toBe("two");
    await ws.restore("#3");
    expect(await read()).toBe("three");
    // The newest is the automatic one of the restore before.
    await ws.restore(-1);
    expect(await read()).toBe("two");
    await ws.restore("-4");
    expect(await read()).toBe("one");
  });

  it("keeps what was never in a snapshot when it restores", async () => {
    const ws = await create();
    await ws.snapshot({ name: "empty" });
    await ws.fs.writeFile("/work", "not in any snapshot");
    const { before } = await ws.restore("empty");
    expect(await ws.fs.readdir("/")).toEqual([]);
    await ws.restore(before.id);
    expect(await ws.fs.readFile("/work", "utf8")).toBe("not in any snapshot");
  });

  it("refuses references that mean nothing or too much, and changes nothing", async () => {
    const ws = await create();
    await expect(ws.restore("-1")).rejects.toThrow(code("ERR_NO_SNAPSHOT"));
    await ws.fs.writeFile("/a", "one");
    await ws.snapshot({ name: "taken" });
    await expect(ws.restore("nowhere")).rejects.toThrow(code("ERR_NO_SNAPSHOT"));
    await expect(ws.restore("-2")).rejects.toThrow(code("ERR_NO_SNAPSHOT"));
    await expect(ws.snapshot({ name: "taken" })).rejects.toThrow(code("EEXIST"));
    for (const name of ["", "a/b", ".hidden", "-1", "#1", "line\nbreak", "x".repeat(300)]) {
      await expect(async () => ws.snapshot({ name })).rejects.toThrow(
        code("ERR_INVALID_ARG_VALUE"),
      );
    }
    expect(await ws.snapshots()).toHaveLength(1);
  });

  it("shows its snapshots below .devdev/snapshots", async () => {
    const ws = await create();
    await ws.fs.writeFile("/a", "one");
    await ws.snapshot({ name: "named" });
    await ws.fs.writeFile("/a", "two");
    await ws.snapshot();
    expect((await ws.fs.readdir("/.devdev/snapshots")).toSorted()).toEqual(["#2", "named"]);
    expect(await ws.fs.readFile("/.devdev/snapshots/named/a", "utf8")).toBe("one");
    expect(await ws.fs.readFile("/.devdev/snapshots/#2/a", "utf8")).toBe("two");
    const writing = ws.fs.writeFile("/.devdev/snapshots/named/a", "three");
    await expect(writing).rejects.toThrow(code("EROFS"));
  });

  it("compares snapshots and the live state", async () => {
    const ws = await create();
    await ws.fs.writeFile("/kept", "kept");
    await ws.fs.writeFile("/changed", "before");
    await ws.fs.writeFile("/gone", "gone");
    await ws.fs.writeFile("/old-name", "moved");
    await ws.snapshot({ name: "before" });
    await ws.fs.writeFile("/changed", "after!");
    await ws.fs.rm("/gone");
    await ws.fs.rename("/old-name", "/new-name");
    await ws.fs.writeFile("/fresh", "fresh");
    await ws.fs.chmod("/kept", 0o600);
    const { entries } = await ws.diff();
    const summary = entries.map(({ kind, path, oldPath, changed }) => [
      kind,
      path,
      oldPath,
      changed,
    ]);
    expect(summary).toEqual([
      ["modified", "/changed", undefined, ["content", "mtime"]],
      ["added", "/fresh", undefined, []],
      ["removed", "/gone", undefined, []],
      ["modified", "/kept", undefined, ["mode"]],
      ["renamed", "/new-name", "/old-name", []],
    ]);
    await ws.snapshot({ name: "after" });
    expect((await ws.diff("before", "after")).entries).toEqual(entries);
    expect((await ws.diff()).entries).toEqual([]);
    const back = (await ws.diff("after", "before")).entries.map(({ kind, path }) => [kind, path]);
    expect(back).toContainEqual(["added", "/gone"]);
    expect(back).toContainEqual(["removed", "/fresh"]);
  });

  it("compares with nothing before the first snapshot", async () => {
    const ws = await create();
    await ws.fs.writeFile("/a", "one");
    const { entries } = await ws.diff();
    expect(entries.map(({ kind, path }) => [kind, path])).toEqual([["added", "/a"]]);
  });

  it("keeps to its limits and tells its usage", async () => {
    const ws = await create({ maxBytes: 1 << 20, maxInodes: 10 });
    await ws.fs.writeFile("/a", Buffer.alloc(100_000));
    expect(await ws.usage()).toMatchObject({ bytes: 102_400, maxBytes: 1 << 20, maxInodes: 10 });
    await expect(ws.fs.writeFile("/b", Buffer.alloc(2 << 20))).rejects.toThrow(code("ENOSPC"));
    await expect(async () => create({ maxBytes: -1 })).rejects.toThrow(code("ERR_OUT_OF_RANGE"));
  });

  it("takes its times from the clock that it is given", async () => {
    let now = 1_000_000_000_000_000_000n;
    const ws = await create({ clock: () => (now += 1_000_000_000n) });
    await ws.fs.writeFile("/a", "one");
    const { mtimeMs } = await ws.fs.stat("/a");
    expect(mtimeMs).toBeGreaterThan(1_000_000_000_000);
    expect(mtimeMs).toBeLessThan(1_000_000_100_000);
    const { createdAt } = await ws.snapshot();
    expect(createdAt).toBeGreaterThanOrEqual(mtimeMs);
    expect(createdAt).toBeLessThan(1_000_000_100_000);
  });

  it("says that it is not mounted, once, for all that needs a mount", async () => {
    const ws = await create();
    expect(ws.mountPoint).toBeUndefined();
    await expect(ws.exec("true")).rejects.toThrow(code("ERR_NOT_MOUNTED"));
    await expect(ws.unmount()).rejects.toThrow(code("ERR_NOT_MOUNTED"));
    expect(await ws.processes()).toEqual([]);
  });

  it("does many things at once in an order that makes sense", async () => {
    const ws = await create();
    await ws.fs.writeFile("/a", "one");
    const results = await Promise.all([
      ws.snapshot(),
      ws.checkpoint(),
      ws.snapshot(),
      ws.restore(-1),
      ws.snapshot(),
    ]);
    expect(
      results.map((result) => (result as { sequence?: number } | undefined)?.sequence),
    ).toEqual([1, undefined, 2, undefined, 4]);
  });
});
