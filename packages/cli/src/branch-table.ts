// The commands that make workspaces of workspaces, and bring their changes together again.

import { Option } from "commander";
import type { Act, Add } from "./command-table.js";

export function branchCommands(add: Add, act: Act): void {
  add("fork [name]", "make a workspace that shares everything with this one until it is changed", [
    "devdev fork experiment --mount ../experiment",
    "devdev fork -w main attempt-2",
    "devdev fork --from good --json",
  ])
    .option("--from <snapshot>", "begin with a snapshot (default: the live state)")
    .option("--mount <directory>", "mount it there, made if missing")
    .action(act(async () => (await import("./commands/fork.js")).fork));
  add("merge <fork>", "make the changes of another workspace since both were one", [
    "devdev merge experiment",
    "devdev merge experiment --into main --dry-run",
    "devdev merge experiment --markers",
    "devdev undo      # takes the last merge back",
  ])
    .option("--into <workspace>", "the workspace to change (as -w)")
    .addOption(new Option("--theirs", "on conflict take what the fork has").conflicts("ours"))
    .addOption(new Option("--ours", "on conflict leave what is there").conflicts("markers"))
    .addOption(
      new Option("--markers", "on conflict write both into the file (exit code 3)").conflicts(
        "theirs",
      ),
    )
    .option("--first-wins", "refuse when the workspace itself was changed since the fork")
    .option("-n, --dry-run", "change nothing, say what would be done")
    .option("--live", "pause commands that run there, merge, let them go on")
    .option("--kill", "kill commands that run there first")
    .action(act(async () => (await import("./commands/merge.js")).merge));
}
