// Many turns and snapshots of one workspace: what the daemon takes for them in memory beside one
// that has only the live tree, and whether the last take longer than the first.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import type { Identity } from "../harness/identity.ts";
import { inDirectory, must, sleep } from "../harness/run.ts";

export interface Load {
  files: number;
  fileBytes: number;
  /** Files that one turn writes anew. */
  changed: number;
  turns: number;
  snapshots: number;
}

/** What one turn of a build is. */
export const TURN = { fileBytes: 8192, changed: 50 };

/** Milliseconds, medians: of the first and of the last ones. */
export type Steps = Record<
  "turn" | "snapshot" | "log" | "diff" | "undo" | "redo",
  [number, number]
>;

/** What the agent saw; MiB are resident. */
export interface Work {
  filledMiB: number;
  turnsMiB: number;
  snapshotsMiB: number;
  steps: Steps;
}

/** `liveMiB`: a daemon that was started afterwards and has read every file. */
export type Figures = Work & { liveMiB: number };

const REST_MS = 3500;

export async function manyTurns(who: Identity, load: Load, timeoutMs: number): Promise<Figures> {
  await using devdev = await Devdev.create(who, "turns");
  const mountPoint = await devdev.mount("--name", "w");
  const pid = await devdev.daemonPid();
  const node = process.execPath.replace(CHECKOUT, who.checkout);
  const agent = join(who.checkout, "test/turns/agent.ts");
  const argv = [node, agent, mountPoint, String(pid), JSON.stringify(load)];
  const env = { ...devdev.env, DEVDEV_BIN: join(who.checkout, "bin/devdev") };
  const { stdout } = await must(who.wrap(argv), { env, timeoutMs });
  await devdev.ok(["daemon", "stop"], { timeoutMs });
  await devdev.mount("--name", "w");
  const read = ["sh", "-c", "find . -type f -exec cat {} + | wc -c"];
  await must(who.wrap(inDirectory(mountPoint, read)), { timeoutMs });
  await sleep(REST_MS);
  const liveMiB = residentMiB(await devdev.daemonPid());
  return { ...(JSON.parse(stdout) as Work), liveMiB };
}

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}
