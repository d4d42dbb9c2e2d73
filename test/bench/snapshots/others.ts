// What else keeps states of a directory: copies, clones of files on btrfs and xfs, git, subvolumes.
// Each has the same files and the same changes; file systems other than the disk's are made in a
// file and mounted by a loop device, which takes root.

import { rmSync, writeFileSync } from "node:fs";
import * as fs from "node:fs";
import { join } from "node:path";

import { isRoot } from "../../harness/identity.ts";
import { must, run } from "../../harness/run.ts";
import { change, fill, type Workload } from "./workload.ts";

/** Milliseconds: the first state, then one with ten files changed, then going back to the first. */
export interface Timed {
  name: string;
  first?: number;
  next?: number[];
  back?: number[];
  /** Why it was left out. */
  skipped?: string;
}

const TIMEOUT = { timeoutMs: 600_000 };
const IMAGE_BYTES = "6G";

async function sh(script: string, ...args: string[]): Promise<number> {
  const started = performance.now();
  await must(["sh", "-euc", script, "sh", ...args], TIMEOUT);
  return performance.now() - started;
}

/** The scripts: $1 is the tree, $2 where states are kept, $3 the number of the state. */
interface Way {
  name: string;
  before?: string;
  take: string;
  back: string;
}

const GIT = `git -C "$1" -c user.name=b -c user.email=b@example.org -c gc.auto=0`;

const WAYS: Way[] = [
  {
    name: "cp -a, sync",
    take: `cp -a "$1" "$2/$3"; sync -f "$2"`,
    back: `rm -rf "$1"; cp -a "$2/0" "$1"`,
  },
  {
    name: "git add -A && git commit",
    before: `git init -q "$1"`,
    take: `${GIT} add -A; ${GIT} commit -q -m "$3"; git -C "$1" tag "s$3"`,
    back: `${GIT} reset -q --hard s0`,
  },
];

const CLONES: Way = {
  name: "cp --reflink",
  take: `cp -a --reflink=always "$1" "$2/$3"; sync -f "$2"`,
  back: `rm -rf "$1"; cp -a --reflink=always "$2/0" "$1"`,
};

const SUBVOLUMES: Way = {
  name: "btrfs subvolume snapshot, sync",
  take: `btrfs -q subvolume snapshot "$1" "$2/$3"; btrfs filesystem sync "$2"`,
  back: `btrfs -q subvolume delete "$1"; btrfs -q subvolume snapshot "$2/0" "$1"`,
};

async function timed(way: Way, at: string, load: Workload, rounds: number): Promise<Timed> {
  const [tree, states] = [join(at, "tree"), join(at, "states")];
  await must(["mkdir", "-p", states]);
  if (way === SUBVOLUMES) await must(["btrfs", "-q", "subvolume", "create", tree]);
  else await must(["mkdir", tree]);
  if (way.before) await sh(way.before, tree, states);
  fill(fs, tree, load);
  await must(["sync"], TIMEOUT);
  const first = await sh(way.take, tree, states, "0");
  const [next, back]: [number[], number[]] = [[], []];
  for (let n = 1; n <= rounds; n++) {
    change(fs, tree, load, 10);
    next.push(await sh(way.take, tree, states, String(n)));
    back.push(await sh(way.back, tree, states, String(n)));
  }
  await must(["rm", "-rf", tree, states], TIMEOUT).catch(() => undefined);
  return { name: way.name, first, next, back };
}

/** A fresh file system in a file, for as long as `work` takes. */
async function onLoop(
  kind: "btrfs" | "xfs",
  directory: string,
  work: (at: string) => Promise<Timed[]>,
): Promise<Timed[] | string> {
  if (!isRoot()) return "loop devices take root";
  if ((await run([`mkfs.${kind}`, "-V"])).code !== 0) return `mkfs.${kind} is not installed`;
  const [image, at] = [join(directory, `${kind}.image`), join(directory, kind)];
  writeFileSync(image, "");
  try {
    await must(["truncate", "-s", IMAGE_BYTES, image]);
    await must([`mkfs.${kind}`, "-q", image], TIMEOUT);
    await must(["mkdir", "-p", at]);
    const mounted = await run(["mount", "-o", "loop", image, at]);
    if (mounted.code !== 0) return `no loop device: ${mounted.stderr.trim()}`;
    try {
      return await work(at);
    } finally {
      await must(["umount", "-l", at], TIMEOUT);
    }
  } finally {
    rmSync(image, { force: true });
  }
}

export async function others(
  directory: string,
  load: Workload,
  rounds: number,
  say: (text: string) => void,
): Promise<Timed[]> {
  const results: Timed[] = [];
  for (const way of WAYS) {
    say(way.name);
    results.push(await timed(way, join(directory, "disk"), load, rounds));
    await must(["rm", "-rf", join(directory, "disk")], TIMEOUT);
  }
  for (const [kind, ways] of [
    ["xfs", [CLONES]],
    ["btrfs", [CLONES, SUBVOLUMES]],
  ] as const) {
    say(kind);
    const named = (way: Way): string => `${way.name} (${kind})`;
    const done = await onLoop(kind, directory, async (at) => {
      const all: Timed[] = [];
      for (const way of ways) {
        const own = join(at, String(all.length));
        all.push({ ...(await timed(way, own, load, rounds)), name: named(way) });
      }
      return all;
    });
    if (typeof done === "string") {
      results.push(...ways.map((way) => ({ name: named(way), skipped: done })));
    } else results.push(...done);
  }
  return results;
}
