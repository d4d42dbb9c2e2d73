// scripts/turns [TURNS [SNAPSHOTS [FILES]]]: prints what many turns and snapshots take.

import { refused } from "../harness/arguments.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { manyTurns, TURN } from "./run.ts";

sweepWhenInterrupted();

const [turns = 500, snapshots = 1000, files = 20_000] = process.argv.slice(2).map(Number);
if (![turns, snapshots, files].every((n) => Number.isInteger(n) && n > 1)) {
  refused("scripts/turns [TURNS [SNAPSHOTS [FILES]]]");
}
const load = { ...TURN, files, turns, snapshots };
const who = await identity(identityNames[0] ?? "user");
const figures = await manyTurns(who, load, 3_600_000);
const { liveMiB, filledMiB, turnsMiB, snapshotsMiB, steps } = figures;
const memory = (mib: number): string =>
  `${mib.toFixed(0)} MiB, ${(mib / liveMiB).toFixed(2)} times that`;
console.log(
  `a workspace of ${files} files of ${TURN.fileBytes / 1024} KiB, ${TURN.changed} of them changed in each turn:`,
);
console.log(
  `  resident with the live tree alone ${liveMiB.toFixed(0)} MiB (a daemon just started, all files read)`,
);
console.log(`  when the files had been written   ${memory(filledMiB)}`);
console.log(`  after ${turns} turns                   ${memory(turnsMiB)}`);
console.log(`  after ${snapshots} snapshots more         ${memory(snapshotsMiB)}`);
for (const [step, [first, last]] of Object.entries(steps)) {
  console.log(
    `  ${step.padEnd(9)} ${first.toFixed(1)} ms at first, ${last.toFixed(1)} ms in the end`,
  );
}
await sweepOwn();
process.exit(0);
