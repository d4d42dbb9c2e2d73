// devdev completion SHELL, and `devdev complete --`, which the scripts call back.

import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

/** Adds both commands to a complete program; only then, because it walks over every command. */
export function installCompletion(program: Command): void {
  tab(program, { completionCommandName: "completion" });
}
