// scripts/soak: strands of large things, each again and again in a directory of its own of one
// workspace, until the time is over.

import { join } from "node:path";
import { given, refused } from "../harness/arguments.ts";
import { Devdev } from "../harness/devdev.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { describe, inDirectory, sleep } from "../harness/run.ts";
import { peakBound, statusMiB } from "../harness/rss.ts";

sweepWhenInterrupted();

/** Steps of test/fixtures/large.py and limits.py, one after the other; then everything goes. */
const STRANDS: Record<string, string[][]> = {
  million: [
    ["large", "create_many", "big", "1000000"],
    ["large", "listed_once", "big", "1000000"],
    ["large", "remove_while_listing", "big", "1000000", "200000"],
  ],
  sparse: [
    ["large", "sparse_create", "sparse"],
    ["large", "sparse_check", "sparse"],
  ],
  open: [["large", "open_many", "10000"]],
  processes: [["large", "processes", "1000"]],
  deep: [
    ["large", "deep_create", "500"],
    ["large", "deep_check", "500"],
  ],
  overwrite: [["limits", "overwrite", "100", "3"]],
};
/** A step that takes longer hangs. */
const STEP_MS = 15 * 60_000;
const BETWEEN_SNAPSHOTS_MS = 10_000;
const LOOK_MS = 200;

const OPTIONS = {
  minutes: { type: "string", default: "10" },
  limit: { type: "string", default: "1024" },
  as: { type: "string", default: identityNames[0]! },
  transport: { type: "string", default: "classic" },
} as const;

const USAGE = "scripts/soak [--minutes N] [--limit MIB] [--as root|user] [--transport T]";

const values = given({ usage: USAGE, options: OPTIONS });
const [minutes, limitMiB] = [Number(values.minutes), Number(values.limit)];
const who = identityNames.find((name) => name === values.as);
if (!(minutes > 0) || !(limitMiB > 0) || who === undefined) refused(USAGE);
process.env["DEVDEV_TRANSPORT"] = values.transport;

const errors: string[] = [];
const end = Date.now() + minutes * 60_000;
const isOver = (): boolean => Date.now() > end || errors.length > 0;

async function strand(devdev: Devdev, name: string, steps: string[][]): Promise<string> {
  const directory = join(devdev.mountPoint, name);
  await devdev.mustHost(["mkdir", directory]);
  let rounds = 0;
  for (; !isOver(); rounds++) {
    for (const [program, ...argv] of steps) {
      const script = join(devdev.identity.checkout, `test/fixtures/${program}.py`);
      const command = inDirectory(directory, ["python3", script, ...argv]);
      const result = await devdev.host(command, { timeoutMs: STEP_MS });
      if (result.code !== 0) errors.push(describe(result));
    }
    const emptied = ["find", directory, "-mindepth", "1", "-delete"];
    const result = await devdev.host(emptied, { timeoutMs: STEP_MS });
    if (result.code !== 0) errors.push(describe(result));
  }
  return `${name} ${rounds}`;
}

async function snapshots(devdev: Devdev): Promise<string> {
  let [count, slowest] = [0, 0];
  while (!isOver()) {
    await sleep(BETWEEN_SNAPSHOTS_MS);
    const args = ["snapshot", "-w", devdev.mountPoint, "--name", `s${count}`];
    const result = await devdev.cli(args, { timeoutMs: STEP_MS });
    if (result.code !== 0) errors.push(describe(result));
    slowest = Math.max(slowest, result.durationMs);
    count++;
  }
  return `snapshots ${count} (slowest ${(slowest / 1000).toFixed(1)} s)`;
}

async function peak(pid: number, over: () => boolean): Promise<number> {
  let most = 0;
  while (!over()) {
    most = Math.max(most, statusMiB(pid, "VmRSS"));
    await sleep(LOOK_MS);
  }
  return Math.max(most, statusMiB(pid, "VmHWM"));
}

{
  await using devdev = await Devdev.create(await identity(who), "soak");
  await devdev.mount("--limit", `${limitMiB}m`);
  const pid = await devdev.daemonPid();
  let done = false;
  const watching = peak(pid, () => done);
  const strands = Object.entries(STRANDS).map(([name, steps]) => strand(devdev, name, steps));
  const told = await Promise.all([...strands, snapshots(devdev)]);
  done = true;
  const most = await watching;
  const checked = await devdev.cli(["store", "check"], { timeoutMs: STEP_MS });
  if (checked.code !== 0) errors.push(describe(checked));
  const bound = peakBound(limitMiB);
  if (most > bound) errors.push(`memory went to ${most.toFixed(0)} MiB, beyond ${bound} MiB`);
  console.log(`soak as ${who} over ${values.transport}: ${told.join(", ")}`);
  console.log(`peak of memory ${most.toFixed(0)} MiB of ${bound.toFixed(0)} MiB`);
}
await sweepOwn();
for (const error of errors) console.error(error);
process.exitCode = errors.length > 0 ? 1 : 0;
