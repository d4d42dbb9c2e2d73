// Runs programs from tests: always in a process group of their own, always with a time limit, and
// never with a working directory that could be on a mount (the spawn itself could hang there).

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

export interface RunOptions {
  /** A directory on no mount of ours. */
  cwd?: string;
  /** The whole environment. */
  env?: NodeJS.ProcessEnv;
  /** Standard input; without it there is none. */
  input?: string | Uint8Array;
  /** A file as standard input. */
  inputFile?: string;
  timeoutMs?: number;
}

export interface RunResult {
  command: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  bytes: Buffer;
  timedOut: boolean;
  durationMs: number;
}

const DEFAULT_TIMEOUT_MS = 200_000;

/** Runs a command to its end; a failure is a result, not an exception. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file, ...args] = argv as [string, ...string[]];
  const started = performance.now();
  const input = options.inputFile === undefined ? undefined : openSync(options.inputFile, "r");
  const stdin = input ?? (options.input === undefined ? "ignore" : "pipe");
  const child = spawn(file, args, {
    cwd: options.cwd ?? "/",
    env: options.env ?? process.env,
    detached: true,
    stdio: [stdin, "pipe", "pipe"],
  });
  if (input !== undefined) closeSync(input);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout!.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr!.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin?.on("error", () => {}); // the child need not read everything
  child.stdin?.end(options.input);
  return new Promise((resolve) => {
    let timedOut = false;
    const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearTimeout(timer);
      const bytes = Buffer.concat(out);
      resolve({
        command: argv.join(" "),
        code,
        signal,
        stdout: bytes.toString(),
        stderr: Buffer.concat(err).toString(),
        bytes,
        timedOut,
        durationMs: performance.now() - started,
      });
    };
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
      // A process that waits uninterruptibly keeps its pipes open: give up on it.
      setTimeout(() => {
        child.stdout!.destroy();
        child.stderr!.destroy();
        finish(null, "SIGKILL");
      }, 3000).unref();
    }, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    child.on("error", (error) => {
      err.push(Buffer.from(error.message));
      finish(127, null);
    });
    child.on("close", finish);
  });
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // The group is gone already.
  }
}

/** Runs a command and throws, with everything it printed, unless it exits with 0. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await run(argv, options);
  if (result.code !== 0) throw new Error(describe(result));
  return result;
}

/** What a failed command did, for an error message. */
export function describe(result: RunResult): string {
  const how = result.timedOut
    ? `did not end within ${Math.round(result.durationMs)} ms`
    : `ended with ${result.signal ?? `exit code ${result.code}`}`;
  const tail = (text: string): string => (text.length > 4000 ? `...${text.slice(-4000)}` : text);
  return `${result.command}\n${how}\n${tail(result.stdout)}\n${tail(result.stderr)}`.trimEnd();
}

/** The command that runs `argv` in a directory that may be on a mount. */
export function inDirectory(directory: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', directory, ...argv];
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until `probe` gives something; throws after the limit. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 60_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(30);
  }
}
