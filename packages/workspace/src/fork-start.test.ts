// Undo in workspaces that came from elsewhere: back to what they began with, and no further.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace } from "@devdev/workspace";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let dataDir = "";

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;
const nothing = code("ERR_NOTHING_TO_UNDO");

const kinds = async (ws: Workspace): Promise<string[]> => (await ws.log()).map(({ kind }) => kind);
const here = async (ws: Workspace): Promise<number | undefined> =>
  (await ws.log()).find(({ current }) => current)?.number;

describe.each([true, false])("S161 ephemeral: %s", (ephemeral) => {
  const source = async (): Promise<Workspace> => {
    const ws = await Workspace.create(ephemeral ? { ephemeral } : { dataDir, name: "w" });
    await ws.fs.writeFile("/a", "one");
    return ws;
  };

  it("undo takes a fork back to what it was forked from, and redo forth again", async () => {
    await using ws = await source();
    await using fork = await ws.fork("f");
    expect(await kinds(fork)).toEqual(["start"]);
    expect((await fork.log())[0]).toMatchObject({
      number: 1,
      current: true,
      other: { name: ws.name },
    });
    await expect(fork.undo()).rejects.toThrow(nothing);
    expect(await fork.snapshots()).toEqual([]);

    await fork.fs.writeFile("/a", "two");
    await fork.fs.writeFile("/b", "new");
    await ws.fs.writeFile("/a", "elsewhere");
    const undone = await fork.undo();
    expect(undone).toMatchObject({ to: 1, steps: 1, filesChanged: 2 });
    expect(undone.saved).toMatchObject({ automatic: true, message: "before an undo" });
    expect([await fork.fs.readFile("/a", "utf8"), await fork.fs.readdir("/")]).toEqual([
      "one",
      ["a"],
    ]);
    expect(await here(fork)).toBe(1);
    await expect(fork.undo()).rejects.toThrow(nothing);

    await fork.redo();
    expect([await fork.fs.readFile("/a", "utf8"), await fork.fs.readdir("/")]).toEqual([
      "two",
      ["a", "b"],
    ]);
    expect(await here(fork)).toBe(2);
    // What it was forked from is a snapshot now: no second one is made of it.
    const { length } = await fork.snapshots();
    await fork.undo();
    expect(await fork.fs.readFile("/a", "utf8")).toBe("one");
    expect(await fork.snapshots()).toHaveLength(length);
  });

  it("that is one step before the first snapshot, unless that is equal", async () => {
    await using ws = await source();
    await using fork = await ws.fork("f");
    await fork.snapshot({ name: "same" });
    await fork.fs.writeFile("/a", "two");
    await fork.snapshot({ name: "two" });
    await fork.fs.writeFile("/a", "three");
    await expect(fork.undo({ steps: 3 })).rejects.toThrow("only 2 steps can be undone");
    expect(await fork.undo({ steps: 2 })).toMatchObject({ steps: 2 });
    expect(await fork.fs.readFile("/a", "utf8")).toBe("one");
    await fork.redo({ steps: 2 });
    expect(await fork.fs.readFile("/a", "utf8")).toBe("three");
    // What the first change of a fork did is told beside what it was forked from.
    const number = (await fork.log()).find(({ snapshot }) => snapshot?.name === "two")!.number;
    expect((await fork.show(number)).entries).toMatchObject([{ kind: "modified", path: "/a" }]);
  });

  it("forks of forks, and of snapshots, have beginnings of their own", async () => {
    await using ws = await source();
    await ws.snapshot({ name: "one" });
    await ws.fs.writeFile("/a", "two");
    await using fork = await ws.fork("f", { from: "one" });
    await fork.fs.writeFile("/a", "three");
    await using deep = await fork.fork("d");
    await deep.fs.writeFile("/a", "four");
    await deep.undo();
    await fork.undo();
    const read = async (each: Workspace) => each.fs.readFile("/a", "utf8");
    expect([await read(ws), await read(fork), await read(deep)]).toEqual(["two", "one", "three"]);
    await expect(deep.undo()).rejects.toThrow(nothing);
  });

  it("a fresh workspace has no state before its first one", async () => {
    await using ws = await source();
    await expect(ws.undo()).rejects.toThrow(nothing);
    expect(await ws.fs.readFile("/a", "utf8")).toBe("one");
  });

  it("what was imported is a state to undo to", async () => {
    await using ws = await source();
    const bytes = await (await ws.snapshot()).toBytes();
    const options = ephemeral ? { ephemeral } : { dataDir, name: "imported" };
    await using imported = await Workspace.fromBytes(bytes, options);
    await imported.fs.writeFile("/a", "two");
    await imported.undo();
    expect(await imported.fs.readFile("/a", "utf8")).toBe("one");
  });
});

it("S161 also later, when its source is gone", async () => {
  const ws = await Workspace.create({ dataDir, name: "w" });
  await ws.fs.writeFile("/a", "one");
  const fork = await ws.fork("f");
  await fork.fs.writeFile("/a", "two");
  await fork.close();
  await ws.close();
  await using again = await Workspace.open("f", { dataDir });
  await again.undo();
  expect(await again.fs.readFile("/a", "utf8")).toBe("one");
  await again.redo();
  expect(await again.fs.readFile("/a", "utf8")).toBe("two");
});
