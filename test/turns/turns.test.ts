// R131: turns and snapshots pin no memory, and the last ones take no longer than the first.
// scripts/turns is the same with 500 turns, 1,000 snapshots and 20,000 files, and prints figures.

import { expect, test } from "vitest";
import { identity, identityNames } from "../harness/identity.ts";
import { mounting } from "../harness/suite.ts";
import { type Figures, manyTurns } from "./run.ts";

/** Each turn writes a tenth of the tree anew: what is pinned is soon several times the tree. */
const LOAD = { files: 2000, fileBytes: 32_768, changed: 200, turns: 40, snapshots: 80 };
/** What the runtime of a busy daemon takes more than that of one that has just been started. */
const SLACK_MIB = 60;
/** For machines on which something else begins half-way. */
const TIMES = 6;
const SLACK_MS = 250;

mounting("turns", () => {
  test("R131 the memory of 40 turns and 80 snapshots is that of the live tree", async () => {
    const figures = await manyTurns(await identity(identityNames[0] ?? "user"), LOAD, 220_000);
    expect(problems(figures)).toEqual([]);
  });
});

function problems({ liveMiB, turnsMiB, snapshotsMiB, steps }: Figures): string[] {
  const limit = 1.5 * liveMiB + SLACK_MIB;
  const memory = Object.entries({ turnsMiB, snapshotsMiB }).flatMap(([what, mib]) =>
    mib > limit
      ? [`${what}: ${mib.toFixed(0)}, with the live tree alone ${liveMiB.toFixed(0)}`]
      : [],
  );
  const times = Object.entries(steps).flatMap(([step, [first, last]]) =>
    last > TIMES * first + SLACK_MS
      ? [`${step}: ${first.toFixed(0)} ms at first, ${last.toFixed(0)} ms in the end`]
      : [],
  );
  return [...memory, ...times];
}
