// Before the suites: a directory for the run, and what an earlier run that was killed left behind.
// After them: nothing may be left, and what is, is taken away and reported.

import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { base, BASE_PREFIX } from "./base.ts";
import { BIND_DIRECTORY, identity, isRoot } from "./identity.ts";
import { clearMounts, mountsBelow } from "./mounts.ts";
import { endProcesses, isAlive } from "./processes.ts";
import { run } from "./run.ts";

export default async function setup(): Promise<() => Promise<void>> {
  await sweepOld();
  base();
  // Once, before files that run at the same time would each make the user.
  if (isRoot()) await identity("user").catch(() => undefined);
  return teardown;
}

async function teardown(): Promise<void> {
  const left = await sweepOwn();
  if (left.length > 0) throw new Error(`the suites left behind: ${left.join(", ")}`);
}

/** Takes away what this run has made; returns what `sweep` does. */
export async function sweepOwn(): Promise<string[]> {
  const left = await sweep(base());
  await unbind();
  return left;
}

/** Takes away what was bound for the ordinary user. */
export async function unbind(): Promise<void> {
  if (!isRoot()) return;
  for (const { mountPoint } of mountsBelow(BIND_DIRECTORY)) {
    await run(["umount", mountPoint], { timeoutMs: 10_000 });
  }
}

/**
 * Ends daemons, mounts and files of a run, and with `runners` what still runs tests in it; returns
 * what was there of processes and mounts.
 */
export async function sweep(directory: string, runners = false): Promise<string[]> {
  const processes = await endProcesses(directory, runners);
  const mounts = await clearMounts(directory);
  if (mountsBelow(directory).length === 0) {
    await run(["rm", "-rf", "--one-file-system", directory], { timeoutMs: 60_000 });
  }
  return [...processes, ...mounts];
}

/** What runs left whose process is gone: they were killed, or interrupted. */
export async function sweepOld(): Promise<void> {
  const parent = dirname(BASE_PREFIX);
  for (const path of readdirSync(parent).map((name) => join(parent, name))) {
    const owner = path.startsWith(BASE_PREFIX) ? path.slice(BASE_PREFIX.length) : "";
    const pid = /^(\d+)-/.exec(owner)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await sweep(path, true);
  }
}
