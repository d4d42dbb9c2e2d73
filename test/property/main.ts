// scripts/property SECONDS [SEED]: the random operations of property.test.ts for as long as wanted,
// in rounds with fresh daemons, until something differs.

import { refused } from "../harness/arguments.ts";
import { Devdev } from "../harness/devdev.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { describe, type RunResult } from "../harness/run.ts";
import {
  buildFsops,
  compareEngineWithTmpfs,
  compareWithTmpfs,
  conform,
  live,
  race,
} from "./fsops.ts";

sweepWhenInterrupted();

const [seconds = 600, first = Date.now() % 1_000_000_000] = process.argv.slice(2).map(Number);
if (!(seconds > 0) || !Number.isInteger(first)) {
  refused("scripts/property SECONDS [SEED]");
}

const ROUND_SECONDS = 60;

async function round(fsops: string, name: "root" | "user", seed: number): Promise<RunResult[]> {
  await using devdev = await Devdev.create(await identity(name), "property");
  const mount = await devdev.mount();
  const results: RunResult[] = [];
  const part = Math.max(1, Math.round(Math.min(ROUND_SECONDS, seconds) / 4));
  for (const threads of [1, 4]) {
    const umask = ["0", "22", "27", "77"][seed % 4]!;
    const options = { seconds: part, seed, threads, umask, every: 10 + (seed % 90) };
    results.push(await compareWithTmpfs(fsops, devdev, mount, options));
  }
  const engine = { seconds: part, seed, every: 10 + (seed % 90) };
  results.push(await compareEngineWithTmpfs(fsops, devdev.identity, engine));
  results.push(await race(fsops, devdev, mount, { seconds: part, seed, threads: 4 + (seed % 5) }));
  await using fresh = await Devdev.create(await identity(name), "history");
  results.push(await live(fsops, fresh, { seconds: part, seed }));
  if (name === "root") {
    await using shared = await Devdev.create(await identity(name), "property");
    const directory = await shared.mount("--allow-other");
    results.push(await conform(fsops, shared, directory, { seed, part: 4 }));
  }
  return results;
}

const fsops = await buildFsops();
const end = Date.now() + seconds * 1000;
let failed = false;
for (let seed = first; Date.now() < end && !failed; seed += 1_000_000) {
  for (const name of identityNames) {
    for (const result of await round(fsops, name, seed)) {
      console.log(`${name}: ${result.code === 0 ? result.stdout.trim() : describe(result)}`);
      failed ||= result.code !== 0;
    }
  }
}
await sweepOwn();
process.exitCode = failed ? 1 : 0;
