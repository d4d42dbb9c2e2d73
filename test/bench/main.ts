// scripts/bench: the steps on each file system in turn, one mounted at a time, in rounds of
// different order, so that a machine that changes its mind changes it for all of them.

import { join } from "node:path";
import { given, numberOf, patternOf } from "../harness/arguments.ts";
import { CHECKOUT } from "../harness/base.ts";
import { sweepOwn } from "../harness/global-setup.ts";
import { isRoot } from "../harness/identity.ts";
import { sweepWhenInterrupted } from "../harness/interrupted.ts";
import { offerIoUring } from "../harness/io-uring.ts";
import { must } from "../harness/run.ts";
import { buildFsops } from "../property/fsops.ts";
import type { Contender } from "./contenders.ts";
import { chosen } from "./matrix.ts";
import { orderOf } from "./order.ts";
import { prepare } from "./prepare.ts";
import { write } from "./report.ts";
import { record, type Results } from "./statistics.ts";
import { type Sample, type StepContext, STEPS } from "./steps.ts";
import { watchingStolen } from "./stolen.ts";
import { USAGE } from "./usage.ts";
import { WarmMemory } from "./warm-up.ts";
import { type Who, Worker } from "./workers.ts";
import { execSteps, snapshotSteps } from "./workspace-steps.ts";

sweepWhenInterrupted();

const options = given({
  usage: USAGE,
  options: {
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    workspace: { type: "string", multiple: true, default: [] },
    also: { type: "string", multiple: true, default: [] },
    "also-command": { type: "string", multiple: true, default: [] },
    matrix: { type: "boolean", default: false },
    prototype: { type: "string" },
    contenders: { type: "string" },
    "as-user": { type: "string" },
    only: { type: "string" },
    out: { type: "string", default: join(CHECKOUT, "docs/BENCHMARKS.md") },
  },
});

if (options["as-user"] !== undefined) process.env["DEVDEV_TEST_USER"] = options["as-user"];
const rounds = numberOf(USAGE, "rounds", options.rounds);
const started = Date.now();
const only = patternOf(USAGE, "only", options.only ?? "");
const steps = STEPS.filter(({ name }) => only.test(name));
const results: Results = new Map();
const failures: string[] = [];
const workers = new Map<Who, Worker>();

function say(text: string): void {
  const minutes = (Date.now() - started) / 60_000;
  console.error(`bench ${minutes.toFixed(1).padStart(5)} min: ${text}`);
}

interface RunContext extends StepContext {
  /** None in a quick run. */
  readonly memory: WarmMemory | undefined;
}

/** All steps on one fresh file system. */
async function measure(one: Contender, context: RunContext): Promise<Sample[]> {
  const worker = workers.get(one.who)!;
  await context.memory?.fill();
  const samples: Sample[] = [];
  await using running = await one.start(worker);
  for (const step of steps) {
    const run = () => step.run(worker, running.directory, context);
    const [found, stolen] = await watchingStolen(run);
    samples.push(...found.map((sample) => ({ ...sample, stolen })));
  }
  if (one === snapshotted && running.devdev !== undefined && options.only === undefined) {
    record(results, "devdev", await snapshotSteps(running.devdev, context.prepared));
    record(results, "devdev", await execSteps(running.devdev));
  }
  return samples;
}

async function round(number: number, context: RunContext): Promise<void> {
  const order = orderOf(contenders, number, rounds);
  for (const [i, one] of order.entries()) {
    const samples = await measure(one, context).catch((error: unknown) => {
      // The others go on: a run takes an hour.
      failures.push(`${one.name}: ${String(error)}`);
      say(`round ${number + 1}/${rounds} ${one.name} FAILED: ${String(error)}`);
      return [];
    });
    record(results, one.name, samples);
    const shown = samples.map(({ step, value, unit }) => `${step} ${value.toFixed(2)} ${unit}`);
    say(`round ${number + 1}/${rounds}, ${i + 1}/${order.length} ${one.name}: ${shown.join(", ")}`);
  }
}

const contenders = chosen(options);
const prepared = await prepare(options.quick);
const fsops = await buildFsops();
/** Keeps what it has, so that there is something to snapshot. */
const snapshotted = contenders.find(
  ({ about, who }) =>
    about.startsWith("`devdev mount") &&
    !about.includes("--ephemeral") &&
    who === (isRoot() ? "root" : "user"),
);
for (const { name, who } of contenders) {
  results.set(name, new Map());
  if (!workers.has(who)) workers.set(who, await Worker.create(who, prepared));
}
say(`${rounds} rounds of ${contenders.map(({ name }) => name).join(", ")}`);
{
  const wanted = contenders.some(({ transport }) => transport === "io_uring");
  await using offered = wanted ? await offerIoUring() : undefined;
  if (offered?.offered === false) throw new Error("bench: no FUSE over io_uring here");
  // Ended before the sweep below, which would take it for something left behind.
  await using memory = options.quick ? undefined : new WarmMemory(fsops);
  const context = { prepared, quick: options.quick, fsops, memory };
  // Everything that is read lies in the page cache from then on.
  const warm = contenders.find(({ kind }) => kind === "tmpfs");
  if (warm !== undefined && !options.quick) await measure(warm, context);
  for (let number = 0; number < rounds; number++) {
    await must(["sync"], { timeoutMs: 120_000 });
    await round(number, context);
    // After each one: a run that is ended early leaves what it has.
    write(results, { rounds: number + 1, contenders, context, steps }, options.out);
  }
}
await sweepOwn();
console.log(`written: ${options.out}`);
for (const failure of failures) console.error(`bench: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
