// scripts/bench snapshots: what a workspace takes for snapshots, restores and diffs, beside copies,
// clones, git and subvolumes, in one run on one disk.

import { mkdirSync, mkdtempSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";

import { given, numberOf } from "../../harness/arguments.ts";
import { base, CHECKOUT } from "../../harness/base.ts";
import { sweepOwn } from "../../harness/global-setup.ts";
import { sweepWhenInterrupted } from "../../harness/interrupted.ts";
import { buildFsops } from "../../property/fsops.ts";
import { show } from "../statistics.ts";
import { WarmMemory } from "../warm-up.ts";
import { others } from "./others.ts";
import { type Figure, judge } from "./figure.ts";
import { freezeFigures } from "./freezes.ts";
import { MANY, manyFigures, QUICK_MANY } from "./many.ts";
import { storeFigures } from "./ours.ts";
import { writeSection } from "./report.ts";
import { FULL, QUICK } from "./workload.ts";
import { USAGE } from "../usage.ts";

sweepWhenInterrupted();

const options = given({
  usage: USAGE,
  options: {
    rounds: { type: "string", default: "3" },
    quick: { type: "boolean", default: false },
    files: { type: "string" },
    out: { type: "string", default: join(CHECKOUT, "docs/BENCHMARKS.md") },
  },
});

const whole = options.quick ? QUICK : FULL;
const directories = options.files
  ? Math.ceil(numberOf(USAGE, "files", options.files) / whole.filesEach)
  : undefined;
const load = { ...whole, ...(directories !== undefined && { directories }) };
const rounds = numberOf(USAGE, "rounds", options.rounds);
const [loadAverage = 0] = loadavg();
const directory = mkdtempSync(join(base(), "snapshots-"));
const say = (text: string): void => console.error(`bench: ${text}`);

/** Said as they come: a run takes long. */
function told(figures: Figure[]): Figure[] {
  for (const figure of figures) {
    const { value, holds } = judge(figure);
    const asked =
      holds === undefined ? "" : ` (${holds ? "as asked for" : "NOT"}: ${figure.limit})`;
    say(`${figure.step}: ${show(value)} ${figure.unit}${asked}`);
  }
  return figures;
}

function inside(name: string): string {
  const made = join(directory, name);
  mkdirSync(made);
  return made;
}

await using memory = options.quick ? undefined : new WarmMemory(await buildFsops());
await memory?.fill();
say("snapshots and restores of a workspace");
const kept = told(await storeFigures({ directory: inside("kept"), load, rounds }));
await memory?.fill();
say("freezes of a workspace");
const frozen = told(await freezeFigures({ directory: inside("frozen"), load, rounds }));
await memory?.fill();
say("many forks, turns and snapshots");
const many = told(await manyFigures(options.quick ? QUICK_MANY : MANY));
await memory?.fill();
const beside = await others(inside("others"), load, rounds, say);
const figures = [...frozen, ...kept, ...many];
writeSection({ load, rounds, loadAverage, figures, others: beside }, options.out);
await sweepOwn();
console.log(`written: ${options.out}`);
process.exit(0);
