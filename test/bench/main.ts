// scripts/bench: the steps on tmpfs, on the disk and in a workspace, one after the other within
// each round, so that a machine that changes its mind changes it for all of them.

import { parseArgs } from "node:util";
import { join } from "node:path";
import { base, CHECKOUT } from "../harness/base.ts";
import { sweep } from "../harness/global-setup.ts";
import { buildFsops } from "../property/fsops.ts";
import { Contenders } from "./contenders.ts";
import { prepare } from "./prepare.ts";
import { record, type Results, write } from "./report.ts";
import { STEPS } from "./steps.ts";
import { execSteps, snapshotSteps } from "./workspace-steps.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    quick: { type: "boolean", default: false },
    also: { type: "string", multiple: true, default: [] },
    only: { type: "string" },
    out: { type: "string", default: join(CHECKOUT, "docs/BENCHMARKS.md") },
  },
});

const also = Object.fromEntries(options.also.map((pair) => pair.split("=", 2) as [string, string]));
const rounds = Number(options.rounds);
const steps = STEPS.filter(({ name }) => options.only === undefined || name.match(options.only));

async function round(number: number, contenders: Contenders, context: Context): Promise<void> {
  for (const step of steps) {
    // Each contender is first in turn.
    const { all } = contenders;
    const order = all.map((_, i) => all[(i + number) % all.length]!);
    for (const contender of order) {
      await contender.settle();
      const samples = await step.run(contender.directory, context);
      record(results, contender.name, samples);
      const shown = samples.map(({ step, value, unit }) => `${step} ${value.toFixed(2)} ${unit}`);
      console.error(`bench: round ${number + 1} ${contender.name}: ${shown.join(", ")}`);
    }
  }
  if (options.only !== undefined) return;
  record(results, "devdev", await snapshotSteps(contenders.devdev, context.prepared));
  record(results, "devdev", await execSteps(contenders.devdev));
}

const results: Results = new Map();
interface Context {
  prepared: Awaited<ReturnType<typeof prepare>>;
  quick: boolean;
  fsops: string;
}
const prepared = await prepare(options.quick);
const context = { prepared, quick: options.quick, fsops: await buildFsops() };
{
  await using contenders = await Contenders.create(also);
  for (const { name } of contenders.all) results.set(name, new Map());
  for (let number = 0; number < rounds; number++) {
    await round(number, contenders, context);
    // After each one: a run that is ended early leaves what it has.
    const done = { rounds: number + 1, quick: options.quick, files: prepared.files };
    write(results, done, options.out);
  }
}
await sweep(base());
console.log(`written: ${options.out}`);
