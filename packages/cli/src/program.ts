// The command line: how it is parsed and how it ends. Which commands there are is in
// command-table.ts; what a command does is in a module of its own, loaded when it runs, so that a
// start reads little.

import { Command, CommanderError } from "commander";
import { VERSION } from "@devdev/protocol";
import { type Act, defineCommands } from "./command-table.js";
import { failure, usageFailure } from "./failure.js";

const EXIT_HELP = `
Exit codes: 0 success, 1 failure, 2 wrong usage. exec and shell: the command's own code, 128+n when
signal n ended it, 124 after --timeout, 126 not executable, 127 not found, 125 when devdev failed.`;

/** What every action gets: the merged options of the command and of `devdev` itself. */
export interface GlobalOptions {
  workspace?: string;
  json?: boolean;
}

/** What is known of a command line when it fails. */
interface Parsed {
  exitCode: number;
  json: boolean;
  /** The command runs another one, whose exit codes are 0 to 124. */
  exec: boolean;
}

/** Runs a command line; resolves with the exit code. */
export async function run(argv: string[]): Promise<number> {
  // Until it is parsed: a `--json` behind `--` belongs to a command of the workspace.
  const own = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const parsed: Parsed = { exitCode: 0, json: own.includes("--json"), exec: false };
  const program = buildProgram(parsed);
  try {
    if (argv[0] === "completion" || argv[0] === "complete") {
      await (await import("./commands/completion.js")).installCompletion(program, argv);
    } else {
      program
        .command("completion <shell>")
        .description("print a completion script: bash, zsh, fish");
    }
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return failure(error, parsed);
  }
  return parsed.exitCode;
}

/** The program; `parsed` learns what is being run and how it ended. */
export function buildProgram(parsed: Parsed): Command {
  const program = new Command("devdev")
    .description(
      "Workspaces for coding agents: a real directory that can be snapshotted, rewound and thrown away.",
    )
    .version(VERSION, "-V, --version")
    .option(
      "-w, --workspace <name|path>",
      "the workspace (default: the one around the current directory, or the only one)",
    )
    .option("--json", "print data as JSON")
    .enablePositionalOptions()
    .showHelpAfterError("(devdev --help lists the commands)")
    .addHelpText("after", EXIT_HELP)
    .configureOutput({
      // The advice after a usage error is for people.
      writeErr: (text) => void (parsed.json || process.stderr.write(text)),
      outputError: (text) => usageFailure(text, parsed),
    })
    .exitOverride();
  const act: Act = (load) => {
    return async (...args) => {
      const command = args.at(-1) as Command;
      const merged = { ...program.opts<GlobalOptions>(), ...command.opts<GlobalOptions>() };
      parsed.json = merged.json ?? false;
      parsed.exec = ["exec", "shell"].includes(command.name());
      const action = (await load()) as unknown as (...args: unknown[]) => Promise<number | void>;
      parsed.exitCode = (await action(...args.slice(0, -2), merged)) ?? 0;
    };
  };
  defineCommands(program, act);
  return program;
}
