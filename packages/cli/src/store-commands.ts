// The commands about what is kept, for how long, and whether it is whole.

import { type Command, Option } from "commander";
import type { Act, Add } from "./command-table.js";
import { age, bytesOrNone, count } from "./option-values.js";

export function storeCommands(add: Add, act: Act): void {
  add("forget <snapshots...>", "remove snapshots (ids, names, #numbers or -1 for the newest)", [
    "devdev forget 3fa9c1",
    "devdev forget good '#12' '#13'",
    "devdev forget --json -- -2",
  ]).action(act(async () => (await import("./commands/retention.js")).forget));
  add("retention", "show or set how long snapshots are kept; those with a name stay for ever", [
    "devdev retention",
    "devdev retention --keep-last 50 --keep-younger 7d",
    "devdev retention --keep-all",
    "devdev retention --store-limit 20g",
  ])
    .option("--keep-last <n>", "keep the newest n automatic ones, and as many of the others", count)
    .option("--keep-younger <age>", "keep those younger than this: 90s, 30m, 12h, 7d, 2w", age)
    .addOption(new Option("--keep-all", "keep all of them").conflicts(["keepLast", "keepYounger"]))
    .option(
      "--store-limit <size>",
      "of all workspaces together: the oldest automatic ones go when the store has more (none: no limit)",
      bytesOrNone,
    )
    .action(act(async () => (await import("./commands/retention.js")).retention));
  add(
    "gc",
    "remove the snapshots that are not to be kept, and what nothing refers to any more",
    ["devdev gc --dry-run", "devdev gc", "devdev gc --json | jq .bytesFreed"],
    "general",
  )
    .option("-n, --dry-run", "only say what would go")
    .action(act(async () => (await import("./commands/retention.js")).gc));
  const store = add(
    "store",
    "check, repair and measure what devdev keeps, also when no daemon runs",
    ["devdev store stats", "devdev store check --deep", "devdev store repair --dry-run"],
    "general",
  );
  const sub = (spec: string, description: string, examples: string[]): Command =>
    store
      .command(spec)
      .description(description)
      .addHelpText("after", `\nExamples:\n${examples.map((line) => `  $ ${line}`).join("\n")}`)
      .addOption(new Option("--json", "print data as JSON"));
  sub("check", "see whether everything that is kept is there; exit code 1 when it is not", [
    "devdev store check",
    "devdev store check --deep --json",
  ])
    .option("--deep", "also read every block and compare it with its hash")
    .action(act(async () => (await import("./commands/store.js")).check));
  sub("repair", "take out what is broken, mend the trees around it, say what they lost", [
    "devdev store repair --dry-run",
    "devdev store repair",
  ])
    .option("-n, --dry-run", "only say what would be done")
    .action(act(async () => (await import("./commands/store.js")).repair));
  sub("stats", "sizes, what deduplication and compression save, whose the bytes are", [
    "devdev store stats",
    "devdev store stats --json | jq .dedupRatio",
  ]).action(act(async () => (await import("./commands/store.js")).stats));
}
