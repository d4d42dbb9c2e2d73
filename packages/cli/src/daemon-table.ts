// The commands about the daemon and the host, with their options and help.

import { type Command, Option } from "commander";
import type { Act, Add } from "./command-table.js";
import { count } from "./option-values.js";

export function daemonCommands(add: Add, act: Act): void {
  const daemon = add(
    "daemon",
    "start, stop and watch the daemon",
    ["devdev daemon status --json", "devdev daemon logs -f"],
    "general",
  );
  const sub = (spec: string, description: string, example: string): Command =>
    daemon
      .command(spec)
      .description(description)
      .addHelpText("after", `\nExamples:\n  $ ${example}`)
      .addOption(new Option("--json", "print data as JSON"));
  sub("start", "start it (other commands do so when needed)", "devdev daemon start").action(
    act(async () => (await import("./commands/daemon.js")).start),
  );
  sub("stop", "checkpoint and unmount every workspace, then stop", "devdev daemon stop").action(
    act(async () => (await import("./commands/daemon.js")).stop),
  );
  sub("status", "pid, version, uptime, memory, workspaces", "devdev daemon status --json").action(
    act(async () => (await import("./commands/daemon.js")).status),
  );
  sub("logs", "print the log", "devdev daemon logs -f --lines 200")
    .option("-n, --lines <n>", "how many lines", count, 50)
    .option("-f, --follow", "go on as it grows")
    .action(act(async () => (await import("./commands/daemon.js")).logs));
  add(
    "doctor",
    "look for what is missing on this host, and clear what is left of dead mounts",
    ["devdev doctor"],
    "general",
  ).action(act(async () => (await import("./commands/doctor.js")).doctor));
}
