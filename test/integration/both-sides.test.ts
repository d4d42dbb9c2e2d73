// Both sides of a mount at work at once, on the same few names: nothing hangs, and when they rest
// they see the same tree (S11, S12). A failure prints the seed.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Vfs } from "@devdev/vfs";
import { base } from "../harness/base.ts";
import { expectTransport } from "../harness/io-uring.ts";
import { Peer } from "../harness/peer.ts";
import { lacks, mounting } from "../harness/suite.ts";

const SEED = Number(process.env["DEVDEV_SEED"] ?? Date.now() % 2 ** 31);
const WORK_MS = 4000;

/** A small generator of random numbers (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const NAMES = ["/a", "/b", "/d", "/d/a", "/d/b", "/d/d", "/e", "/e/a", "/e/d"];

/** One random step: an operation that both sides have, under the same name and arguments. */
function step(next: (below: number) => number): [string, ...unknown[]] {
  const name = (): string => NAMES[next(NAMES.length)]!;
  const text = `${next(1000)} `.repeat(next(3) * 900 + 1);
  const steps: Array<() => [string, ...unknown[]]> = [
    () => ["write", name(), text],
    () => ["append", name(), text],
    () => ["truncate", name(), next(9000)],
    () => ["rename", name(), name()],
    () => ["unlink", name()],
    () => ["mkdir", name()],
    () => ["rmdir", name()],
    () => ["link", name(), name()],
    () => ["chmod", name(), [0o644, 0o600, 0o755][next(3)]],
    () => ["stat", name()],
    () => ["read", name()],
    () => ["ls", name()],
    () => ["exists", name()],
  ];
  return steps[next(steps.length)]!();
}

const API: Readonly<Record<string, string>> = {
  write: "writeFile",
  append: "appendFile",
  read: "readFile",
  ls: "readdir",
  exists: "access",
};

async function work(
  until: number,
  seed: number,
  run: (...call: [string, ...unknown[]]) => unknown,
): Promise<number> {
  const next = random(seed);
  let steps = 0;
  for (; Date.now() < until; steps++) {
    try {
      await run(...step(next));
    } catch (error) {
      // The steps collide on purpose; what must not happen is an error without an errno.
      if (!/^E[A-Z]+$/.test(String((error as { code?: unknown }).code))) throw error;
    }
  }
  return steps;
}

interface Seen {
  [path: string]: { mode: number; size: number; nlink: number; content?: string };
}

/** The tree as the mount shows it. */
async function mounted(peer: Peer): Promise<Seen> {
  const seen: Seen = {};
  const visit = async (path: string): Promise<void> => {
    const stat = (await peer.call("stat", path)) as Seen[string];
    const { mode, size, nlink } = stat;
    const directory = (mode & 0o170000) === 0o040000;
    seen[path] = { mode, size, nlink };
    if (!directory) seen[path].content = (await peer.call("read", path)) as string;
    else {
      const names = (await peer.call("ls", path)) as string[];
      for (const name of names) await visit(`${path === "/" ? "" : path}/${name}`);
    }
  };
  await visit("/");
  return seen;
}

/** Ends what keeps an ordinary user out of directories of its own. */
function open(vfs: Vfs): void {
  for (const name of vfs.fs.readdirSync("/", { recursive: true })) {
    if (vfs.fs.lstatSync(`/${name}`).isDirectory()) vfs.fs.chmodSync(`/${name}`, 0o755);
  }
}

/** The tree as the API shows it. */
function direct(vfs: Vfs): Seen {
  const seen: Seen = {};
  const visit = (path: string): void => {
    const stat = vfs.fs.lstatSync(path);
    seen[path] = { mode: stat.mode, size: stat.size, nlink: stat.nlink };
    if (!stat.isDirectory()) seen[path].content = vfs.fs.readFileSync(path, "latin1");
    else for (const name of vfs.fs.readdirSync(path)) visit(`${path === "/" ? "" : path}/${name}`);
  };
  visit("/");
  return seen;
}

mounting("both sides at once", () => {
  test.skipIf(lacks("python3"))(`see the same when they rest (seed ${SEED})`, async () => {
    using vfs = Vfs.create();
    const mount = await vfs.mount(join(mkdtempSync(join(base(), "both-")), "mount"));
    expectTransport(mount);
    const peers = await Promise.all([1, 2, 3].map(() => Peer.start(mount.path)));
    const fs = vfs.fs as unknown as Record<string, (...args: unknown[]) => unknown>;
    try {
      for (let round = 0; round < 3; round++) {
        const until = Date.now() + WORK_MS / 3;
        const seed = SEED + round * 100;
        const steps = await Promise.all([
          ...peers.map((peer, n) =>
            work(until, seed + n, (name, ...args) => peer.call(name, ...args)),
          ),
          ...[7, 8].map((n) =>
            work(until, seed + n, (name, ...args) => fs[API[name] ?? name]!(...args)),
          ),
        ]);
        expect(Math.min(...steps)).toBeGreaterThan(10);
        open(vfs);
        for (const peer of peers) expect(await mounted(peer)).toEqual(direct(vfs));
      }
    } finally {
      await Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()));
      await mount.unmount({ force: true });
    }
  });
});
