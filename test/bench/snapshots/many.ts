// What many of them take: forks of one workspace, turns and snapshots of another, in processes of
// their own, whose memory is looked at.

import { join } from "node:path";

import type { ForkFigures } from "../../forks/run.ts";
import { CHECKOUT } from "../../harness/base.ts";
import { identity, identityNames } from "../../harness/identity.ts";
import { must } from "../../harness/run.ts";
import { manyTurns, TURN } from "../../turns/run.ts";
import { type Figure, Figures } from "./figure.ts";

export interface Many {
  files: number;
  forks: number;
  turns: number;
  snapshots: number;
}

export const MANY: Many = { files: 20_000, forks: 1000, turns: 500, snapshots: 1000 };
export const QUICK_MANY: Many = { files: 2000, forks: 100, turns: 20, snapshots: 40 };

const TIMEOUT_MS = 1_800_000;

const counted = (n: number): string => n.toLocaleString("en");

async function forkFigures({ files, forks }: Many, figures: Figures): Promise<void> {
  const program = join(CHECKOUT, "test/forks/main.ts");
  const argv = [process.execPath, "--expose-gc", program, String(forks), String(files), "--json"];
  const { stdout } = await must(argv, { timeoutMs: TIMEOUT_MS });
  const { medianMs, p99Ms, allMiB } = JSON.parse(stdout) as ForkFigures;
  figures.note(`fork of ${counted(files)} files, not mounted: median`, medianMs, { limit: 2 });
  figures.note(`fork of ${counted(files)} files, not mounted: p99`, p99Ms);
  const step = `memory of ${counted(forks)} forks with it, one file changed in each`;
  figures.note(step, allMiB, { unit: "MiB", limit: 300 });
}

async function turnFigures({ files, turns, snapshots }: Many, figures: Figures): Promise<void> {
  const load = { ...TURN, files, turns, snapshots };
  const who = await identity(identityNames[0] ?? "user");
  const { liveMiB, turnsMiB, snapshotsMiB, steps } = await manyTurns(who, load, TIMEOUT_MS);
  figures.note(`memory after ${counted(turns)} turns, to a live tree's`, turnsMiB / liveMiB, {
    unit: "x",
    limit: 1.5,
  });
  const more = `memory after ${counted(snapshots)} snapshots more, to a live tree's`;
  figures.note(more, snapshotsMiB / liveMiB, { unit: "x", limit: 1.5 });
  for (const [step, [first, last]] of Object.entries(steps)) {
    figures.note(`${step} by the daemon: at first`, first);
    figures.note(`${step} by the daemon: in the end`, last);
  }
}

export async function manyFigures(many: Many): Promise<Figure[]> {
  const figures = new Figures();
  await forkFigures(many, figures);
  await turnFigures(many, figures);
  return figures.all;
}
