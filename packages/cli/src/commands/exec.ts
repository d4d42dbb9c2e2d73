// devdev exec, devdev shell: a command of the workspace on this terminal, or on these pipes.

import { gatherOutput, type RemoteCommand, RemoteProcess } from "@devdev/client";
import type { ExecOptions, ExecWord } from "@devdev/protocol";
import { exactWords } from "../exact-words.js";
import { UsageError, warning } from "../failure.js";
import { printJson } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Streams } from "../streams.js";
import { byName } from "../workspace-name.js";

interface RunOptions extends GlobalOptions {
  cwd?: string;
  env: string[];
  passEnv: string[];
  path: string[];
  profile: string[];
  /** Commander merges -t and --no-tty into this. */
  tty?: boolean;
  timeout?: number;
  /** Commander merges --snapshot and --no-snapshot into this. */
  snapshot?: boolean;
}

export async function exec(command: string, args: string[], options: RunOptions): Promise<number> {
  return run(await exactWords([command, ...args]), options, false);
}

export async function shell(args: string[], options: RunOptions): Promise<number> {
  return run(["shell", ...args], options, true);
}

async function run(argv: ExecWord[], options: RunOptions, shell: boolean): Promise<number> {
  const terminal = wantsTerminal(options);
  const common: RemoteCommand = {
    argv,
    callerCwd: process.cwd(),
    options: { ...execOptions(options, terminal), shell },
  };
  const command = await byName(options.workspace, (workspace) =>
    RemoteProcess.start({ ...common, ...(workspace !== undefined && { workspace }) }),
  );
  using streams = new Streams(command);
  streams.forwardSignals();
  streams.attachInput(terminal);
  if (options.json) return runForJson(command, terminal);
  streams.attachOutput(terminal);
  const { exitCode, unrecorded } = await streams.ended();
  if (unrecorded !== undefined) {
    warning(`the command was not recorded: ${unrecorded}`, { json: false });
  }
  return exitCode;
}

// -T: never; -t: always; else when both ends are terminals, so `exec cmd | less` and `exec cmd <
// file` get pipes.
function wantsTerminal(options: RunOptions): boolean {
  if (options.tty !== undefined) return options.tty;
  return !options.json && process.stdin.isTTY && process.stdout.isTTY;
}

async function runForJson(command: RemoteProcess, terminal: boolean): Promise<number> {
  const { bytes: _, stdout, stderr, ...result } = await gatherOutput(command, terminal);
  printJson({
    ...result,
    ...(stdout && { stdout: stdout.toString() }),
    ...(stderr && { stderr: stderr.toString() }),
  });
  return result.exitCode;
}

function execOptions(options: RunOptions, terminal: boolean): ExecOptions {
  const env = Object.fromEntries(
    options.env.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new UsageError(`--env ${pair}: NAME=VALUE is needed`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
  const { columns: cols, rows } = terminalSize();
  const term = process.stdout.isTTY ? process.env["TERM"] : undefined;
  return {
    env,
    passEnv: options.passEnv,
    path: options.path,
    profiles: options.profile,
    pty: terminal ? { cols, rows, ...(term !== undefined && { term }) } : false,
    umask: process.umask(),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.snapshot !== undefined && { snapshot: options.snapshot }),
    ...(options.timeout !== undefined && { timeoutMs: options.timeout * 1000 }),
  };
}

// A terminal that nobody gave a size (script, expect, docker -t) has none: 0x0.
function terminalSize(): { columns: number; rows: number } {
  const { isTTY, columns, rows } = process.stdout;
  return isTTY && columns > 0 && rows > 0 ? { columns, rows } : { columns: 80, rows: 24 };
}
