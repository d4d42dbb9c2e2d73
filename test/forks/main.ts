// scripts/forks [FORKS [FILES]]: prints what many forks of one workspace take.

import { manyForks } from "./run.ts";

const [forks = 1000, files = 20_000] = process.argv.slice(2).map(Number);
if (![forks, files].every((n) => Number.isInteger(n) && n > 0)) {
  console.error("usage: scripts/forks [FORKS [FILES]]");
  process.exit(2);
}
const figures = await manyForks(files, forks);
const { medianMs, p99Ms, sourceMiB, allMiB } = figures;
const each = ((allMiB - sourceMiB) / forks) * 1024;
console.log(`${forks} forks of a workspace of ${files} files, one file changed in each:`);
console.log(`  a fork takes ${medianMs.toFixed(1)} ms (median), ${p99Ms.toFixed(1)} ms (p99)`);
console.log(
  `  resident ${sourceMiB.toFixed(0)} MiB with the source, ${allMiB.toFixed(0)} MiB with all forks ` +
    `(${each.toFixed(0)} KiB each)`,
);
