// The commands about the history of a workspace, with their options and help.

import { type Command, Option } from "commander";
import type { Act, Add } from "./command-table.js";
import { count } from "./option-values.js";

export function historyCommands(add: Add, act: Act): void {
  add("log", "what happened: snapshots, recorded commands, restores, forks, newest first", [
    "devdev log",
    "devdev log -n 20",
    "devdev log --json | jq -c '.[] | [.number, .kind]'",
  ])
    .option("-n, --lines <n>", "only the newest", count)
    .action(act(async () => (await import("./commands/history.js")).log));
  add("show [turn]", "what a recorded command changed (default: the last one), by its number", [
    "devdev show",
    "devdev show 7 --stat",
    "devdev show 7 -p | git apply --stat",
  ])
    .option("--stat", "count added and removed lines")
    .option("-p, --patch", "a patch in git's format, and nothing else")
    .option("--binary", "the same, with what is in binary files")
    .action(act(async () => (await import("./commands/history.js")).show));
  const commands = (command: Command): Command =>
    command
      .option("--live", "pause commands that run, go there, let them go on")
      .option("--kill", "kill commands that run first");
  commands(
    add("undo [paths...]", "back to the state before; or take back what a command did to paths", [
      "devdev undo",
      "devdev undo --steps 3",
      "devdev undo -- src/config.ts",
      "devdev undo --turn 7 -- src",
    ]),
  )
    .option("-n, --steps <n>", "so many steps", count)
    .option("--turn <number>", "with paths: what that command did (default: the last that did)")
    .option("-f, --force", "with paths: also where something was changed again since")
    .action(act(async () => (await import("./commands/travel.js")).undo));
  commands(add("redo", "take an undo back", ["devdev redo", "devdev redo --steps 2"]))
    .option("-n, --steps <n>", "so many steps", count)
    .action(act(async () => (await import("./commands/travel.js")).redo));
  const autosnapshot = add("autosnapshot", "whether commands are recorded without --snapshot", [
    "devdev autosnapshot",
    "devdev autosnapshot exec",
    "devdev autosnapshot off",
  ]);
  autosnapshot
    .addArgument(autosnapshot.createArgument("[when]", "exec: every command; off").choices(WHEN))
    .action(act(async () => (await import("./commands/history.js")).autosnapshot));
}

const WHEN = ["exec", "off"];

export function autosnapshotOption(): Option {
  const option = new Option(
    "--autosnapshot <when>",
    "record every command, from now on (exec, off)",
  );
  return option.choices(WHEN);
}
