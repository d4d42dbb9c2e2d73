// scripts/crash N [SEED]: the crash loop of crash.test.ts for N iterations in all.

import { base } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import { sweep } from "../harness/global-setup.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { CrashLoop } from "./loop.ts";

const [count = 100, first = Date.now() % 1_000_000] = process.argv.slice(2).map(Number);
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(first)) {
  console.error("usage: scripts/crash [ITERATIONS [SEED]]");
  process.exit(2);
}

/** Iterations on one store; then a new one, so that each seed is reached again quickly. */
const ROUND = 50;

let seed = first;
for (let done = 0; done < count; done += ROUND, seed++) {
  const name = identityNames[seed % identityNames.length]!;
  await using devdev = await Devdev.create(await identity(name), "crash");
  const loop = new CrashLoop(devdev, seed);
  for (let i = 0; i < Math.min(ROUND, count - done); i++) await loop.iterate();
  await loop.finish();
  console.log(`${name}, seed ${seed}: ${JSON.stringify(loop.report)}`);
}
await sweep(base());
