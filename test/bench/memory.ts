// scripts/bench memory: what many files and large ones take of the machine's memory, on tmpfs and
// in a workspace, and what is left of it when they are gone. Root only: tmpfs takes the kernel's
// memory, which is only seen for the whole machine.

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { given } from "../harness/arguments.ts";
import { base, CHECKOUT } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { identity, isRoot } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { inDirectory, must } from "../harness/run.ts";
import { USAGE } from "./usage.ts";

sweepWhenInterrupted();

const MANY = join(CHECKOUT, "test/fixtures/many.py");
const MIB = 2 ** 20;
/** The daemon gives memory back when it rests. */
const REST_MS = 3000;
const STEP_MS = 1_200_000;

const options = given({
  usage: USAGE,
  options: {
    quick: { type: "boolean", default: false },
    out: { type: "string", default: join(CHECKOUT, "docs/BENCHMARKS-MEMORY.md") },
  },
});
const scale = options.quick ? 100 : 1;

/** Bytes. */
interface Memory {
  /** Of the daemon; 0 for tmpfs. */
  resident: number;
  /** Inodes, names and pages in the kernel. */
  kernel: number;
}

interface Place {
  name: string;
  directory: string;
  /** The daemon. */
  pid?: number;
}

interface Case {
  name: string;
  /** How many files, and bytes in all of them. */
  files: number;
  bytes: number;
  rounds: number;
  make: string[];
  remove: string[];
}

function many(name: string, files: number, size: number, rounds: number): Case {
  const args = [String(files), "1000", String(size)];
  return {
    name,
    files,
    bytes: files * size,
    rounds,
    make: ["python3", MANY, "make", ...args],
    remove: ["python3", MANY, "remove", ...args],
  };
}

function large(name: string, bytes: number, rounds: number): Case {
  const make = ["sh", "-c", `head -c ${bytes} /dev/urandom > large`];
  return { name, files: 1, bytes, rounds, make, remove: ["rm", "large"] };
}

const CASES = [
  many("1,000,000 empty files", 1_000_000 / scale, 0, 1),
  many("200,000 files of 2 KiB", 200_000 / scale, 2048, 5),
  large("one file of 1 GiB", Math.floor((1024 * MIB) / scale), 5),
  large("one file of 4 GiB", Math.floor((4096 * MIB) / scale), 1),
];

function field(path: string, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(path, "utf8"))?.[1];
  return Number(kib ?? 0) * 1024;
}

// FUSE's pages and inodes are caches, which the kernel drops when asked; those of tmpfs are not.
async function memory({ pid }: Place): Promise<Memory> {
  await sleep(REST_MS);
  writeFileSync("/proc/sys/vm/drop_caches", "3\n");
  const kernel = field("/proc/meminfo", "Slab") + field("/proc/meminfo", "Shmem");
  return { resident: pid === undefined ? 0 : field(`/proc/${pid}/status`, "VmRSS"), kernel };
}

function added(now: Memory, before: Memory): number {
  return now.resident - before.resident + (now.kernel - before.kernel);
}

/** Bytes more than before, after each making and after each removal. */
async function measure(place: Place, one: Case): Promise<{ made: number[]; left: number[] }> {
  const before = await memory(place);
  const figures: { made: number[]; left: number[] } = { made: [], left: [] };
  for (let round = 0; round < one.rounds; round++) {
    await must(inDirectory(place.directory, one.make), { timeoutMs: STEP_MS });
    figures.made.push(added(await memory(place), before));
    await must(inDirectory(place.directory, one.remove), { timeoutMs: STEP_MS });
    figures.left.push(added(await memory(place), before));
    console.error(`bench: ${place.name}, ${one.name}, round ${round + 1} of ${one.rounds}`);
  }
  return figures;
}

async function onTmpfs<T>(use: (place: Place) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(base(), "tmpfs-"));
  await must(["mount", "-t", "tmpfs", "-o", "size=90%,nr_inodes=0", "tmpfs", directory]);
  try {
    return await use({ name: "tmpfs", directory });
  } finally {
    await must(["umount", directory]);
  }
}

async function onWorkspace<T>(use: (place: Place) => Promise<T>, ...flags: string[]): Promise<T> {
  await using devdev = await Devdev.create(await identity("root"), "memory");
  await devdev.mount("--limit", "8g", "--max-inodes", "2000000", ...flags);
  const directory = join(devdev.mountPoint, "work");
  mkdirSync(directory);
  const pid = await devdev.daemonPid();
  const name = flags.includes("--ephemeral") ? "workspace, ephemeral" : "workspace";
  return await use({ name, directory, pid });
}

const mib = (bytes: number): string => (bytes / MIB).toFixed(0);

/** What is taken, per file and per byte of content, and what is left at most. */
function row(place: string, one: Case, { made, left }: { made: number[]; left: number[] }): string {
  const most = Math.max(...made);
  const each = one.files > 1 ? `${((most - one.bytes) / one.files).toFixed(0)} B` : "-";
  const share = one.bytes > 0 ? (most / one.bytes).toFixed(3) : "-";
  const cells = [place, mib(most), each, share, left.map(mib).join(", ")];
  return `| ${one.name} | ${cells.join(" | ")} |`;
}

if (!isRoot()) throw new Error("bench memory: only root can drop the kernel's caches");
const rows: string[] = [];
for (const one of CASES) {
  const use = async (place: Place): Promise<void> =>
    void rows.push(row(place.name, one, await measure(place, one)));
  await onTmpfs(use);
  await onWorkspace(use);
  await onWorkspace(use, "--ephemeral");
}
await sweepOwn();
const text = `# Memory

By \`scripts/bench memory\`${options.quick ? " with --quick" : ""}: MiB of the machine that files take, and what is left of
them after each removal. For a workspace the resident memory of its daemon, for both the kernel's slab and
tmpfs pages; the kernel's caches are dropped before each look, so what FUSE merely caches is not in it. "Beside" is what
one file takes beside its content.

| what | where | MiB | beside content, per file | of its content | MiB left after each removal |
|---|---|---|---|---|---|
${rows.join("\n")}
`;
writeFileSync(options.out, text);
console.log(`written: ${options.out}`);
