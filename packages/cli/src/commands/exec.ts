// devdev exec, devdev shell: a command of the workspace on this terminal, or on these pipes.

import { readFile } from "node:fs/promises";
import { constants } from "node:os";
import { gatherOutput, RemoteProcess } from "@devdev/client";
import type { ExecOptions, ExecWord } from "@devdev/protocol";
import { UsageError } from "../failure.js";
import { printJson } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { absolute } from "../session.js";

interface RunOptions extends GlobalOptions {
  cwd?: string;
  env: string[];
  passEnv: string[];
  path: string[];
  profile: string[];
  /** Commander merges -t and --no-tty into this. */
  tty?: boolean;
  timeout?: number;
}

export async function exec(command: string, args: string[], options: RunOptions): Promise<number> {
  return run(await exactWords([command, ...args]), options, false);
}

export async function shell(args: string[], options: RunOptions): Promise<number> {
  return run(["shell", ...args], options, true);
}

// Node decodes argv as UTF-8; words that were not are taken from the kernel as bytes.
async function exactWords(words: string[]): Promise<ExecWord[]> {
  if (!words.some((word) => word.includes("\ufffd")) || process.platform !== "linux") return words;
  const line = await readFile("/proc/self/cmdline");
  const all: Buffer[] = [];
  for (let at = 0; at < line.length;) {
    const end = line.indexOf(0, at);
    all.push(line.subarray(at, end));
    at = end + 1;
  }
  return all.slice(-words.length);
}

async function run(argv: ExecWord[], options: RunOptions, shell: boolean): Promise<number> {
  const terminal = wantsTerminal(options);
  const command = await RemoteProcess.start({
    argv,
    callerCwd: process.cwd(),
    ...(options.workspace !== undefined && { workspace: absolute(options.workspace) }),
    options: { ...execOptions(options, terminal), shell },
  });
  if (options.json) return runForJson(command, terminal);
  const detach = terminal ? attachTerminal(command) : attachPipes(command);
  try {
    return (await command.wait()).exitCode;
  } finally {
    detach();
  }
}

// -T: never; -t: always; else when both ends are terminals, so `exec cmd | less` and `exec cmd <
// file` get pipes.
function wantsTerminal(options: RunOptions): boolean {
  if (options.tty === false || options.json) return options.tty === true;
  return options.tty === true || (process.stdin.isTTY && process.stdout.isTTY);
}

async function runForJson(command: RemoteProcess, terminal: boolean): Promise<number> {
  const detach = attachInput(command);
  const { bytes: _, stdout, stderr, ...result } = await gatherOutput(command, terminal);
  detach();
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
  const { columns: cols, rows } = process.stdout.isTTY ? process.stdout : { columns: 80, rows: 24 };
  const term = process.stdout.isTTY ? process.env["TERM"] : undefined;
  return {
    env,
    passEnv: options.passEnv,
    path: options.path,
    profiles: options.profile,
    pty: terminal ? { cols, rows, ...(term !== undefined && { term }) } : false,
    umask: process.umask(),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.timeout !== undefined && { timeoutMs: options.timeout * 1000 }),
  };
}

function deliver(command: RemoteProcess): void {
  const gone = (): void => void command.kill("SIGPIPE");
  process.stdout.on("error", gone);
  command.onOutput((chunk, stream) => {
    const target = stream === "stderr" ? process.stderr : process.stdout;
    if (target.write(chunk)) return;
    command.pause();
    target.once("drain", () => command.resume());
  });
}

function attachTerminal(command: RemoteProcess): () => void {
  const { stdin, stdout } = process;
  deliver(command);
  const resize = (): void => void command.resize(stdout.columns, stdout.rows);
  stdout.on("resize", resize);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", (chunk) => void command.write(chunk));
  stdin.on("end", () => void command.end());
  return () => {
    stdout.off("resize", resize);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
  };
}

function attachPipes(command: RemoteProcess): () => void {
  deliver(command);
  return attachInput(command);
}

function attachInput(command: RemoteProcess): () => void {
  const { stdin } = process;
  const feed = async (): Promise<void> => {
    for await (const chunk of stdin) await command.write(chunk as Buffer);
    await command.end();
  };
  feed().catch(() => undefined); // The command may end before its input does.
  // A second signal is for us: the command may be deaf to the first.
  const forward = (signal: NodeJS.Signals): void => {
    process.once(signal, () => {
      void command.kill(signal);
      process.once(signal, () => process.exit(128 + (constants.signals[signal] ?? 0)));
    });
  };
  (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const).forEach(forward);
  return () => stdin.destroy();
}
