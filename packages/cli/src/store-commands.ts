// The commands about what is kept, for how long, and whether it is whole.

import { Option } from "commander";
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
}
