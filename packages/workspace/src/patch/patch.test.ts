// Patches, judged by git: what it applies must give the tree that was compared.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const lines = (count: number) => Array.from({ length: count }, (_, i) => `line ${i}\n`).join("");

/** The same tree before the change, on the host. */
function hostTree(files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

async function workspaceWith(files: Record<string, string | Buffer>): Promise<Workspace> {
  const ws = await Workspace.create();
  for (const [path, content] of Object.entries(files)) {
    await ws.fs.mkdir(`/${join(path, "..")}`, { recursive: true });
    await ws.fs.writeFile(`/${path}`, content);
  }
  await ws.snapshot();
  return ws;
}

function apply(patch: string): void {
  execFileSync("git", ["apply", "--whitespace=nowarn", "-"], { cwd: directory, input: patch });
}

it("gives patches that git applies", async () => {
  const files = {
    "src/changed.txt": lines(100),
    "src/gone.txt": "gone\n",
    "no-newline": "one\ntwo",
    "gets newline": "one",
    empties: "text\n",
    script: "#!/bin/sh\n",
    "moved and edited": lines(30),
    'odd"name\t': "odd\n",
    größe: "groß\n",
    'größe "日本" 😀\n': "groß\n",
    crlf: "a\r\nb\r\n",
    latin1: Buffer.from([0xe4, 0x0a, 0xf6, 0x0a]),
  };
  hostTree(files);
  await using ws = await workspaceWith(files);
  await ws.fs.writeFile(
    "/src/changed.txt",
    lines(100).replace("line 3\n", "").replace("line 90\n", "90!\n"),
  );
  await ws.fs.rm("/src/gone.txt");
  await ws.fs.writeFile("/no-newline", "one\ntwo!");
  await ws.fs.writeFile("/gets newline", "one\n");
  await ws.fs.writeFile("/empties", "");
  await ws.fs.chmod("/script", 0o755);
  await ws.fs.rename("/moved and edited", "/elsewhere");
  await ws.fs.appendFile("/elsewhere", "and one more\n");
  await ws.fs.writeFile('/odd"name\t', "odder\n");
  await ws.fs.writeFile("/größe", "größer\n");
  await ws.fs.writeFile('/größe "日本" 😀\n', "größer\n");
  await ws.fs.writeFile("/crlf", "a\r\nc\r\n");
  await ws.fs.mkdir("/new");
  await ws.fs.writeFile("/new/file", "new\n");
  await ws.fs.writeFile("/new/empty", "");
  await ws.fs.symlink("target", "/new/link");
  const { patch, entries } = await ws.diff(undefined, undefined, { patch: true });
  apply(patch as string);
  for (const { kind, path, fileKind } of entries) {
    if (kind === "removed" || fileKind !== "file") continue;
    const host = readFileSync(join(directory, path as string));
    expect([path, host]).toEqual([path, await ws.fs.readFile(path as string)]);
  }
  expect(() => statSync(join(directory, "src/gone.txt"))).toThrow(/ENOENT/);
  expect(statSync(join(directory, "script")).mode & 0o111).toBe(0o111);
});

it("counts lines and tells binary files", async () => {
  const files = { text: lines(10), binary: Buffer.from([1, 0, 2]), same: "same\n" };
  await using ws = await workspaceWith(files);
  await ws.fs.writeFile("/text", lines(12).replace("line 4\n", "four\n"));
  await ws.fs.writeFile("/binary", Buffer.from([1, 0, 3]));
  await ws.fs.utimes("/same", 1, 1);
  await ws.fs.writeFile("/added", "a\nb\nc");
  const result = await ws.diff(undefined, undefined, { stat: true, patch: true });
  const [stats, patch] = [result.stats, result.patch as string];
  expect(stats).toEqual([
    { path: "/added", added: 3, removed: 0, binary: false },
    { path: "/binary", added: 0, removed: 0, binary: true },
    { path: "/text", added: 3, removed: 1, binary: false },
  ]);
  expect(patch).toContain("Binary files a/binary and b/binary differ\n");
  expect(patch).not.toContain("same");
});

it("shows a file that became a symlink as removed and added", async () => {
  await using ws = await workspaceWith({ thing: "a file\n" });
  await ws.fs.rm("/thing");
  await ws.fs.symlink("elsewhere", "/thing");
  const { patch } = await ws.diff(undefined, undefined, { patch: true });
  expect(patch).toContain("deleted file mode 100644");
  expect(patch).toContain("new file mode 120000");
  expect(patch).toContain("+elsewhere\n\\ No newline at end of file");
});

it("gives up on a pair that takes too long, and replaces the whole", async () => {
  const noise = (seed: number) =>
    Array.from({ length: 60_000 }, (_, i) => `${(i * seed * 2_654_435_761) % 4_294_967_291}\n`);
  await using ws = await workspaceWith({ large: noise(3).join("") });
  await ws.fs.writeFile("/large", noise(7).join(""));
  const { stats } = await ws.diff(undefined, undefined, { stat: true });
  expect(stats).toHaveLength(1);
  expect(stats![0]!.added).toBeGreaterThan(50_000);
  expect(stats![0]!.removed).toBe(stats![0]!.added);
});
