// scripts/restores N [SEED]: the restores of restores.test.ts, N in all, in rounds with fresh
// daemons, as each identity in turn.

import { refused } from "../harness/arguments.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { describe } from "../harness/run.ts";
import { restores } from "./run.ts";

sweepWhenInterrupted();

const [count = 1000, first = Date.now() % 1_000_000] = process.argv.slice(2).map(Number);
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(first)) {
  refused("scripts/restores [RESTORES [SEED]]");
}

const ROUND = 250;
for (let [done, seed] = [0, first]; done < count && !process.exitCode; done += ROUND, seed++) {
  const name = identityNames[seed % identityNames.length]!;
  const result = await restores(await identity(name), Math.min(ROUND, count - done), seed);
  console.log(`${name}: ${result.code === 0 ? result.stdout.trim() : describe(result)}`);
  if (result.code !== 0) process.exitCode = 1;
}
await sweepOwn();
