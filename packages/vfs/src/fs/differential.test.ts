// The same calls on Node's own fs (in a directory of the host) and on an engine, in both forms:
// results, errors field by field, and the tree that each call leaves behind must agree.

import * as nodeFs from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, isDeepStrictEqual } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { FsOperations, WorkspaceFs } from "@devdev/protocol";
import { comparable, comparableTree, type SyncFs } from "@devdev/testing";
import { Vfs } from "@devdev/vfs";

process.umask(0o022);
const host = mkdtempSync(join(tmpdir(), "devdev-diff-"));
afterAll(() => rmSync(host, { recursive: true, force: true }));

/** What every case starts from. Symlinks are relative: the two roots differ. */
function plant(fs: WorkspaceFs, root: string): void {
  fs.mkdirSync(`${root}/d`);
  fs.mkdirSync(`${root}/d/sub`);
  fs.mkdirSync(`${root}/empty`);
  fs.mkdirSync(`${root}/t/sub`, { recursive: true });
  fs.writeFileSync(`${root}/t/x`, "x of t", { mode: 0o640 });
  fs.writeFileSync(`${root}/t/sub/y`, "y of t");
  fs.writeFileSync(`${root}/f`, "content of f");
  fs.writeFileSync(`${root}/d/g`, "content of g\n", { mode: 0o755 });
  fs.linkSync(`${root}/f`, `${root}/h`);
  fs.symlinkSync("f", `${root}/lf`);
  fs.symlinkSync("d", `${root}/ld`);
  fs.symlinkSync("gone", `${root}/broken`);
  fs.symlinkSync("loop", `${root}/loop`);
  fs.symlinkSync("../f", `${root}/d/up`);
}

const LONG = "n".repeat(256);
const ONE = ["/f", "/d", "/d/sub", "/empty", "/h", "/lf", "/ld", "/broken", "/loop", "/d/up"];
const ODD = ["/nope", "/nope/x", "/f/x", "/f/", "/d/", "/ld/", "/lf/", "/broken/", "/nope/"];
const DOTS = ["/d/.", "/d/..", "/d/sub/..", "/f/.", "/f/..", "//d//g", "/ld/g", "/d/../f"];
const PATHS = [...ONE, ...ODD, ...DOTS, `/${LONG}`, `/d/${LONG}/x`, "/loop/x", "/broken/x"];
const TARGETS = ["/f", "/d", "/empty", "/lf", "/ld", "/broken", "/nope", "/nope/x", "/f/x"];
const MORE = ["/d/new", "/d/sub", "/empty/", "/f/", "/nope/", "/d/sub/deep", "/h", "/loop"];

type Case = [keyof FsOperations, ...unknown[]];
const at = (path: string) => ({ path });

function onePath(path: string): Case[] {
  const p = at(path);
  return [
    ["stat", p],
    ["lstat", p],
    ["stat", p, { bigint: true }],
    ["readFile", p],
    ["readFile", p, "utf8"],
    ["readFile", p, { encoding: "hex", flag: "a+" }],
    ["writeFile", p, "new content"],
    ["writeFile", p, Buffer.from([1, 2, 3]), { flag: "wx", mode: 0o640 }],
    ["writeFile", p, "r+", { flag: "r+" }],
    ["appendFile", p, " and more"],
    ["readdir", p],
    ["readdir", p, { withFileTypes: true }],
    ["readdir", p, { recursive: true }],
    ["readdir", p, "buffer"],
    ["access", p],
    ["access", p, 1],
    ["mkdir", p],
    ["mkdir", p, 0o700],
    ["mkdir", p, { recursive: true }],
    ["rmdir", p],
    ["rm", p],
    ["rm", p, { force: true }],
    ["rm", p, { recursive: true }],
    ["unlink", p],
    ["readlink", p],
    ["readlink", p, "buffer"],
    ["realpath", p],
    ["chmod", p, 0o4711],
    ["chmod", p, "600"],
    ["chown", p, 12, 34],
    ["lchown", p, -1, 34],
    ["utimes", p, 1.5, new Date(1_700_000_000_123)],
    ["lutimes", p, "17", 1234.567891],
    ["truncate", p],
    ["truncate", p, 3],
    ["truncate", p, 5000],
    ["symlink", "some/target", p],
  ];
}

function twoPaths(from: string, to: string): Case[] {
  const paths = [at(from), at(to)] as const;
  return [
    ["rename", ...paths],
    ["link", ...paths],
    ["copyFile", ...paths],
    ["copyFile", ...paths, nodeFs.constants.COPYFILE_EXCL],
  ];
}

/** Copies of trees: Node resolves the targets of symlinks it copies, so there are none in these. */
const COPIES = ["/f", "/t", "/t/sub", "/empty", "/h", "/nope", "/t/", "/f/"];
const COPY_TARGETS = ["/f", "/t", "/t/sub", "/t/sub/new", "/empty", "/nope", "/nope/x/y"];
const HOW = [undefined, { recursive: true }, { recursive: true, force: false }];
const copies = COPIES.flatMap((from) =>
  COPY_TARGETS.flatMap((to) => HOW.map((how): Case => ["cp", at(from), at(to), how])),
);

const cases = [
  ...copies,
  ...PATHS.flatMap(onePath),
  ...[...ONE, "/nope", "/f/", "/d/", "/d/."].flatMap((from) =>
    [...TARGETS, ...MORE].flatMap((to) => twoPaths(from, to)),
  ),
];

/** Where we differ on purpose, or where Node's two forms differ from each other. */
function excluded([name, first, second, third]: Case, form: "sync" | "promise"): boolean {
  const { path } = first as { path?: string };
  if (path === undefined) return false;
  const dots = /\/\.*$/.test(path);
  switch (name) {
    // Node's sync form works on the text of the path: it never sees that /f/. asks for a directory.
    case "realpath":
      return form === "sync" && dots;
    // Node's forms disagree: ENOENT and ENOTDIR.
    case "mkdir":
      return form === "promise" && path === "/broken/x";
    // As rm(1) does, we refuse names that are "." or "..", and to remove through a symlink.
    case "rm":
      return dots && !["/f/", "/d/", "/nope/"].includes(path);
    // Node's sync form descends into what symlinks point to.
    case "readdir":
      return path === "/d/.." && isDeepStrictEqual(second, { recursive: true });
    // libuv empties the target, then finds that the source is a directory.
    case "copyFile":
      return ["/d", "/d/", "/d/.", "/d/sub", "/ld", "/empty"].includes(path);
    // Node's promise form makes the directories above the target before it refuses.
    case "cp":
      return form === "promise" && isDeepStrictEqual([second, third], [at("/nope/x/y"), undefined]);
    default:
      return false;
  }
}

interface Side {
  fs: SyncFs;
  promises: Record<string, (...args: unknown[]) => Promise<unknown>>;
  root: string;
}

function sides(name: string): [Side, Side, Vfs] {
  const root = join(host, name);
  nodeFs.mkdirSync(root);
  const vfs = Vfs.create();
  const ours = vfs.fs as unknown as SyncFs;
  vfs.fs.mkdirSync("/w");
  return [
    { fs: nodeFs as unknown as SyncFs, promises: nodeFs.promises as never, root },
    { fs: ours, promises: ours as never, root: "/w" },
    vfs,
  ];
}

/** Paths of a case, below a side's root. */
function placed(args: unknown[], root: string): unknown[] {
  return args.map((arg) =>
    typeof arg === "object" && arg !== null && "path" in arg ? root + String(arg.path) : arg,
  );
}

async function outcome(side: Side, [name, ...args]: Case, form: "sync" | "promise") {
  const call = placed(args, side.root);
  try {
    const result =
      form === "sync" ? side.fs[`${name}Sync`]?.(...call) : await side.promises[name]?.(...call);
    return comparable(name, result, side.root);
  } catch (error) {
    return comparable(name, error, side.root);
  }
}

interface Seen {
  outcome: unknown;
  tree: Record<string, unknown>;
}

async function see(side: Side, one: Case, form: "sync" | "promise"): Promise<Seen> {
  const result = await outcome(side, one, form);
  return { outcome: result, tree: comparableTree(side.fs, side.root) };
}

/** What differs, on few lines: the outcome, or the paths of the tree that do. */
function explain(one: Case, expected: Seen, got: Seen): string {
  const parts = [`call ${JSON.stringify(one)}`];
  const note = (what: string, ...both: unknown[]) => {
    if (isDeepStrictEqual(both[0], both[1])) return;
    const [node, ours] = both.map((side) => inspect(side, { breakLength: Infinity, depth: 5 }));
    parts.push(`  ${what}: node ${node}, ours ${ours}`);
  };
  note("outcome", expected.outcome, got.outcome);
  const paths = new Set([...Object.keys(expected.tree), ...Object.keys(got.tree)]);
  for (const path of paths) note(path, expected.tree[path], got.tree[path]);
  return parts.join("\n");
}

describe.each(["sync", "promise"] as const)("%s form", (form) => {
  it(`agrees with node:fs on ${cases.length} calls (S40)`, { timeout: 400_000 }, async () => {
    const differences: string[] = [];
    for (const [n, one] of cases.entries()) {
      if (excluded(one, form)) continue;
      const [node, ours, vfs] = sides(`${form}-${n}`);
      plant(nodeFs as unknown as WorkspaceFs, node.root);
      plant(vfs.fs, ours.root);
      const expected = await see(node, one, form);
      const got = await see(ours, one, form);
      if (!isDeepStrictEqual(got, expected)) differences.push(explain(one, expected, got));
      vfs.close();
      rmSync(node.root, { recursive: true });
    }
    expect(differences.join("\n")).toBe("");
  });
});
