// scripts/forks [FORKS [FILES]] [--json]: prints what many forks of one workspace take.

import { refused } from "../harness/arguments.ts";
import { type ForkFigures, manyForks } from "./run.ts";

const given = process.argv.slice(2);
const [forks = 1000, files = 20_000] = given.filter((word) => word !== "--json").map(Number);
if (![forks, files].every((n) => Number.isInteger(n) && n > 0)) {
  refused("scripts/forks [FORKS [FILES]] [--json]");
}

function text({ medianMs, p99Ms, sourceMiB, allMiB }: ForkFigures): string {
  const each = ((allMiB - sourceMiB) / forks) * 1024;
  return [
    `${forks} forks of a workspace of ${files} files, one file changed in each:`,
    `  a fork takes ${medianMs.toFixed(1)} ms (median), ${p99Ms.toFixed(1)} ms (p99)`,
    `  resident ${sourceMiB.toFixed(0)} MiB with the source, ${allMiB.toFixed(0)} MiB with all ` +
      `forks (${each.toFixed(0)} KiB each)`,
  ].join("\n");
}

const figures = await manyForks(files, forks);
console.log(given.includes("--json") ? JSON.stringify(figures) : text(figures));
