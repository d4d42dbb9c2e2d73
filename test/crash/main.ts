// scripts/crash N [SEED [root|user [KIND,...]]]: the crash loop of crash.test.ts for N iterations
// in all, of some kinds only if that is asked for.

import { refused } from "../harness/arguments.ts";
import { Devdev } from "../harness/devdev.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { CrashLoop, ROUND } from "./loop.ts";
import { type Kind, KINDS } from "./kinds.ts";

sweepWhenInterrupted();

const [count, first] = [process.argv[2] ?? 100, process.argv[3] ?? Date.now() % 1e6].map(Number);
const as = identityNames.find((name) => name === process.argv[4]);
const kinds = process.argv[5]?.split(",") as Kind[] | undefined;
const unknown =
  (process.argv[4] !== undefined && as === undefined) ||
  kinds?.some((kind) => !KINDS.includes(kind));
if (!Number.isInteger(count) || count! < 1 || !Number.isInteger(first) || unknown) {
  refused(`scripts/crash [ITERATIONS [SEED [root|user [KIND,...]]]]\nkinds: ${KINDS.join(", ")}`);
}

let seed = first!;
for (let done = 0; done < count!; done += ROUND, seed++) {
  const name = as ?? identityNames[seed % identityNames.length]!;
  await using devdev = await Devdev.create(await identity(name), "crash");
  const loop = new CrashLoop(devdev, seed, kinds);
  for (let i = 0; i < Math.min(ROUND, count! - done); i++) await loop.iterate();
  await loop.finish();
  console.log(`${name}, seed ${seed}: ${JSON.stringify(loop.report)}`);
}
await sweepOwn();
