// Property: what a merge makes of two random sets of changes is what `git merge` makes of them, as
// far as git knows trees and follows things as merges here do (docs/SEMANTICS.md, S162): the same
// merges are clean, the same files are in conflict, and all others are the same in the end.
// DEVDEV_MERGE_SEEDS=5000 takes so many instead of a few, DEVDEV_SEED=N begins with another one.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { pathBytes } from "@devdev/protocol";
import { type Change, changesOf, filesOf, type Files, randomBase } from "@devdev/testing";
import { Workspace } from "@devdev/workspace";
import { afterAll, beforeAll, expect, it } from "vitest";

const SEEDS = Number(process.env["DEVDEV_MERGE_SEEDS"] ?? 60);
const MOST_TOLD = 12;
const FIRST = Number(process.env["DEVDEV_SEED"] ?? 1);

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-test-"));
  git(["init", "-q", "--bare", "."]);
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function git(args: string[], input: string | Buffer = "", fine = [0]): Buffer {
  const env = { PATH: process.env["PATH"], HOME: directory, GIT_CONFIG_NOSYSTEM: "1" };
  try {
    return execFileSync("git", args, {
      cwd: directory,
      env,
      input,
      stdio: ["pipe", "pipe", "pipe"],
    });
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: Buffer };
    if (fine.includes(status)) return stdout;
    throw error;
  }
}

/** `merge-tree` of 2.38 and later merges without a working tree. */
function isNewEnough(): boolean {
  const [major = 0, minor = 0] = /(\d+)\.(\d+)/
    .exec(execFileSync("git", ["--version"], { encoding: "utf8" }))!
    .slice(1)
    .map(Number);
  return major > 2 || (major === 2 && minor >= 38);
}

/** A path that either or both say is in conflict, and what is at the others. */
interface Outcome {
  conflicts: string[];
  files: Files;
}

function mergedByGit(base: Files, ours: Files, theirs: Files): Outcome {
  const commit = (name: string, files: Files): string => {
    const from = name === "base" ? "" : "from refs/heads/base\ndeleteall\n";
    const all = [...files].map(
      ([path, { exec, text }]) =>
        `M ${exec ? "100755" : "100644"} inline ${path.slice(1)}\ndata ${Buffer.byteLength(text)}\n${text}\n`,
    );
    return `commit refs/heads/${name}\ncommitter a <a@b> 1 +0000\ndata 0\n${from}${all.join("")}\n`;
  };
  const three = [commit("base", base), commit("ours", ours), commit("theirs", theirs)];
  git(["fast-import", "--quiet", "--force"], `reset refs/heads/base\n${three.join("")}`);
  const config = ["merge.renames=true", "merge.renameLimit=0", "merge.directoryRenames=false"];
  const merging = ["merge-tree", "--write-tree", "--no-messages", "--name-only", "-z"];
  const said = git(
    [...config.flatMap((each) => ["-c", each]), ...merging, "ours", "theirs"],
    "",
    [0, 1],
  );
  const [tree = "", ...conflicts] = said
    .toString()
    .split("\0")
    .filter((part) => part !== "");
  const listed = git(["ls-tree", "-r", "-z", tree]).toString().split("\0").filter(Boolean);
  const files: Files = new Map();
  for (const entry of listed) {
    const [, mode = "", object = "", path = ""] = /^(\d+) blob (\w+)\t(.*)$/s.exec(entry)!;
    files.set(`/${path}`, { exec: mode === "100755", text: blob(object) });
  }
  return { conflicts: conflicts.map((path) => `/${path}`), files };
}

const blobs = new Map<string, string>();
function blob(object: string): string {
  const known = blobs.get(object);
  if (known !== undefined) return known;
  const text = git(["cat-file", "blob", object]).toString();
  blobs.set(object, text);
  return text;
}

async function make(ws: Workspace, changes: readonly Change[]): Promise<void> {
  for (const change of changes) {
    const { path } = change;
    await ws.fs.mkdir(dirname(path), { recursive: true });
    if (change.do === "write") await ws.fs.writeFile(path, change.text);
    else if (change.do === "remove") await ws.fs.rm(path);
    else if (change.do === "rename") await ws.fs.rename(change.from, path);
    else if (change.do === "chmod") await ws.fs.chmod(path, change.exec ? 0o755 : 0o644);
    else {
      // As editors do it: another file takes the name.
      await ws.fs.writeFile(`${path}.new`, change.text);
      await ws.fs.chmod(`${path}.new`, (await ws.fs.stat(path)).mode & 0o777);
      await ws.fs.rename(`${path}.new`, path);
    }
  }
}

async function contentOf(ws: Workspace): Promise<Files> {
  const files: Files = new Map();
  for (const name of await ws.fs.readdir("/", { recursive: true })) {
    const path = `/${name}`;
    const { mode } = await ws.fs.stat(path);
    if ((mode & 0o170000) !== 0o100000) continue;
    const text = await ws.fs.readFile(path, "utf8");
    files.set(path, { exec: (mode & 0o100) !== 0, text });
  }
  return files;
}

async function mergedHere(
  base: readonly Change[],
  ours: readonly Change[],
  theirs: readonly Change[],
): Promise<Outcome> {
  await using ws = await Workspace.create({ ephemeral: true });
  await make(ws, base);
  await using fork = await ws.fork();
  await make(ws, ours);
  await make(fork, theirs);
  const { conflicts } = await ws.merge(fork, { resolve: "markers" });
  const paths = conflicts.map(({ path }) => pathBytes(path).toString());
  return { conflicts: paths, files: await contentOf(ws) };
}

/** What came of one seed: how many files are in conflict, and where both do not agree. */
async function compare(seed: number): Promise<{ open: number; text: string }> {
  const base = randomBase(seed);
  const [ours, theirs] = [changesOf(base, seed, "ours"), changesOf(base, seed, "theirs")];
  const [before, left, right] = [base.changes, ours.changes, theirs.changes];
  const here = await mergedHere(before, left, right);
  const there = mergedByGit(filesOf(base), filesOf(ours), filesOf(theirs));
  // A conflict is one of a thing, whichever of its paths is named.
  const sides = [base, ours, theirs];
  const thingsAt = (path: string): string[] =>
    sides.flatMap(({ things }) =>
      [...things].filter(([, thing]) => thing.path === path).map(([id]) => id),
    );
  const things = (paths: readonly string[]): string[] =>
    [...new Set(paths.flatMap(thingsAt))].toSorted();
  // Of two things that want one name git names both, and a merge here the fork's.
  const sharing = (ids: readonly string[]): string[] =>
    things(sides.flatMap((side) => ids.flatMap((id) => side.things.get(id)?.path ?? [])));
  const [a, b] = [here, there].map(({ conflicts }) => sharing(things(conflicts)));
  const about = [
    `ours ${words(left)}`,
    `theirs ${words(right)}`,
    `here ${String(a)}`,
    `git ${String(b)}`,
  ];
  const told = (what: string): { open: number; text: string } => ({
    open: a?.length ?? 0,
    text: what && `seed ${seed}: ${what}\n  ${about.join("\n  ")}`,
  });
  if (String(a) !== String(b)) return told("other conflicts");
  const open = new Set(a);
  const isOpen = (path: string): boolean =>
    path.includes("~") || thingsAt(path).some((id) => open.has(id));
  const settled = (files: Files): Array<[string, unknown]> =>
    [...files].filter(([path]) => !isOpen(path)).toSorted(([x], [y]) => (x < y ? -1 : 1));
  const [mine, gits] = [settled(here.files), settled(there.files)];
  if (JSON.stringify(mine) === JSON.stringify(gits)) return told("");
  const differs = mine.filter(
    (each) => !gits.some((one) => JSON.stringify(one) === JSON.stringify(each)),
  );
  return told(`other files: ${JSON.stringify(differs).slice(0, 400)}`);
}

function words(changes: readonly Change[]): string {
  return changes
    .map(
      (change) => `${change.do} ${change.do === "rename" ? `${change.from} ` : ""}${change.path}`,
    )
    .join(", ");
}

const limit = { timeout: 240_000 + SEEDS * 1000 };

it.skipIf(!isNewEnough())("S162 merges end as git's do", limit, async () => {
  const found: string[] = [];
  let conflicts = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS && found.length < MOST_TOLD; seed++) {
    const { open, text } = await compare(seed);
    if (text !== "") found.push(text);
    if (open > 0) conflicts += 1;
  }
  expect(found.join("\n")).toBe("");
  // Neither all of them nor none.
  expect(conflicts / SEEDS).toBeGreaterThan(0.1);
  expect(conflicts / SEEDS).toBeLessThan(0.9);
});
