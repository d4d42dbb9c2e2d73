// Property: what `git apply` makes of a patch is the tree that was compared, whatever happened
// between the two states. git knows files, symlinks and one mode bit; that is what is compared.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { Random } from "@devdev/testing";
import { Workspace } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

const SEEDS = 40;
const NAMES = ["a", "b", "c d", 'q"\t', "ü", "\u{1f600}", "new\nline", "back\\slash"].map((name) =>
  Buffer.from(name),
);
NAMES.push(Buffer.from([0xff, 0x20, 0xfe]));
const SLASH = Buffer.from("/");

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

type Files = Map<string, { mode: string; content: Buffer }>;

/** What git knows of a workspace, by path in latin1. */
async function filesOf(ws: Workspace): Promise<Files> {
  const files: Files = new Map();
  const walk = async (path: Buffer): Promise<void> => {
    const listed = Buffer.concat([path, SLASH]);
    for (const name of await ws.fs.readdir(listed, { encoding: "buffer" })) {
      const at = Buffer.concat([path, SLASH, name]);
      const stats = await ws.fs.lstat(at);
      const key = at.toString("latin1");
      if (stats.isDirectory()) await walk(at);
      else if (stats.isSymbolicLink()) {
        const content = (await ws.fs.readlink(at, { encoding: "buffer" })) as Buffer;
        files.set(key, { mode: "link", content });
      } else if (stats.isFile()) {
        const mode = (stats.mode & 0o100) === 0 ? "file" : "program";
        files.set(key, { mode, content: await ws.fs.readFile(at) });
      }
    }
  };
  await walk(Buffer.alloc(0));
  return files;
}

function onHost(path: string): Buffer {
  return Buffer.concat([Buffer.from(directory), Buffer.from(path, "latin1")]);
}

function put(files: Files): void {
  for (const [path, { mode, content }] of files) {
    mkdirSync(Buffer.from(dirname(onHost(path).toString("latin1")), "latin1"), {
      recursive: true,
    });
    if (mode === "link") symlinkSync(content, onHost(path));
    else {
      writeFileSync(onHost(path), content);
      chmodSync(onHost(path), mode === "file" ? 0o644 : 0o755);
    }
  }
}

function hostFiles(path = "", files: Files = new Map()): Files {
  for (const name of readdirSync(onHost(path || "/"), { encoding: "buffer" })) {
    const at = `${path}/${name.toString("latin1")}`;
    const stats = lstatSync(onHost(at));
    if (stats.isDirectory()) hostFiles(at, files);
    else if (stats.isSymbolicLink()) {
      files.set(at, {
        mode: "link",
        content: readlinkSync(onHost(at), { encoding: "buffer" }),
      });
    } else {
      const mode = (stats.mode & 0o100) === 0 ? "file" : "program";
      files.set(at, { mode, content: readFileSync(onHost(at)) });
    }
  }
  return files;
}

function sorted(files: Files): unknown[] {
  return [...files].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function content(random: Random): Buffer {
  const lines = Array.from({ length: random.below(30) }, () => `${random.below(5)} line\n`);
  const text = Buffer.from(lines.join(""));
  const ends = ["", "no newline", "\r\n", "\r", "\u2028", "\\", "-- \n", "@@ -1 +1 @@\n"];
  const end = Buffer.from(random.pick(ends));
  const bytes = random.below(4) === 0 ? Buffer.from([0, 0xff, random.below(256)]) : Buffer.alloc(0);
  const odd = random.below(4) === 0 ? Buffer.from([0xe4, 0x0a]) : Buffer.alloc(0);
  return Buffer.concat([odd, bytes, text, end]);
}

/** One change; what the tree does not allow is left undone. */
async function change(ws: Workspace, random: Random, all: readonly Buffer[]): Promise<void> {
  const path = (): Buffer => {
    const depth = random.pick([1, 1, 1, 2, 2, 3]);
    const names = Array.from({ length: depth }, () => [SLASH, random.pick(all)]);
    return Buffer.concat(names.flat());
  };
  const { fs } = ws;
  const changes = [
    () => fs.writeFile(path(), content(random)),
    () => fs.writeFile(path(), content(random)),
    () => fs.appendFile(path(), "appended\n"),
    () => fs.mkdir(path()),
    () => fs.mkdir(path()),
    () => fs.rename(path(), path()),
    // To a new name: else it is a change of what had that name.
    () => fs.rename(path(), Buffer.concat([SLASH, random.pick(NAMES), random.pick(NAMES)])),
    () => fs.rename(path(), Buffer.concat([path(), random.pick(NAMES)])),
    () => fs.rm(path(), { recursive: random.below(3) === 0 }),
    () => fs.symlink(random.pick(["a", "../b", "nowhere"]), path()),
    () => fs.link(path(), path()),
    () => fs.chmod(path(), random.pick([0o644, 0o755])),
  ];
  await random
    .pick(changes)()
    .catch((error: NodeJS.ErrnoException) => {
      expect(error.code).toMatch(/^E/);
    });
}

async function madeAtRandom(random: Random, names: readonly Buffer[]): Promise<Workspace> {
  const ws = await Workspace.create();
  for (const name of names) await ws.fs.mkdir(Buffer.concat([SLASH, name])).catch(() => undefined);
  for (let n = 0; n < 100; n++) await change(ws, random, names);
  return ws;
}

/** What is compared with a workspace: itself as it was, a fork of it, or one of its own. */
type Other = "itself" | "a fork" | "a stranger";

/** The workspace, and what it is compared with; both were changed since they were one. */
async function pair(other: Other, random: Random): Promise<[Workspace, Workspace]> {
  // Few, so that they collide.
  const names = Array.from({ length: 3 }, () => random.pick(NAMES));
  const ws = await madeAtRandom(random, names);
  const some = async (of: Workspace): Promise<void> => {
    for (let n = 0; n < 1 + random.below(40); n++) await change(of, random, names);
  };
  if (other === "itself") {
    await ws.snapshot();
    put(await filesOf(ws));
    await some(ws);
    return [ws, ws];
  }
  const there = other === "a fork" ? await ws.fork() : await madeAtRandom(random, names);
  await some(there);
  await some(ws);
  if (other === "a fork" && random.below(2) === 0) {
    await ws.merge(there, { resolve: random.pick(["ours", "theirs"]) });
    await some(ws);
    await some(there);
  }
  put(await filesOf(there));
  return [ws, there];
}

it.each<Other>(["itself", "a fork", "a stranger"])(
  "S57 S120 a patch from %s gives the workspace",
  { timeout: 300_000 },
  async (other) => {
    let [patches, renames] = [0, 0];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed);
      const [ws, there] = await pair(other, random);
      const against = ws === there ? {} : { against: { workspace: there } };
      const pieces: Buffer[] = [];
      const patch = ws.patch(undefined, undefined, { binary: true, ...against });
      for await (const piece of patch) pieces.push(piece);
      const input = Buffer.concat(pieces);
      if (input.length > 0) {
        patches++;
        renames += input.toString("latin1").split("\nrename from ").length - 1;
        const apply = ["apply", "--whitespace=nowarn", "-"];
        try {
          execFileSync("git", apply, { cwd: directory, input, stdio: "pipe" });
        } catch (error) {
          const said = String((error as { stderr: Buffer }).stderr);
          expect.fail(`seed ${seed}: ${said}\n${input.toString("latin1")}`);
        }
      }
      const [expected, found] = [await filesOf(ws), hostFiles()];
      expect([seed, sorted(found)]).toEqual([seed, sorted(expected)]);
      rmSync(directory, { recursive: true });
      mkdirSync(directory);
      for (const each of new Set([there, ws])) await each.close();
    }
    expect(patches).toBeGreaterThan(SEEDS / 2);
    if (other === "a stranger") expect(renames).toBe(0);
    else expect(renames).toBeGreaterThan(SEEDS / 4);
  },
);
