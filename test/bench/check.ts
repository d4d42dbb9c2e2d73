// scripts/bench check: which limits hold in the results of a run, and exit code 1 unless all do.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { refused } from "../harness/arguments.ts";
import { CHECKOUT } from "../harness/base.ts";
import { type Figures, limits } from "./limits.ts";

function figures(file: string): Figures {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Figures;
  } catch (error) {
    return refused("scripts/bench check [FILE.json]", (error as Error).message);
  }
}

const all = limits(figures(process.argv[2] ?? join(CHECKOUT, "docs/BENCHMARKS.json")));
for (const { what, value, holds } of all) {
  console.log(`${holds ? "holds   " : "EXCEEDED"}  ${what}: ${value}`);
}
const exceeded = all.filter(({ holds }) => !holds).length;
console.log(`${all.length - exceeded} of ${all.length} limits hold`);
process.exitCode = exceeded === 0 && all.length > 0 ? 0 : 1;
