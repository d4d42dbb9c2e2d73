// Runs a command in a process group of its own and shows what it says: who stops it, for its time
// is up or at Ctrl-C, stops what it has started as well.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { sweepOld, sweepOwn } from "../../test/harness/global-setup.ts";
import { followersOf } from "../../test/harness/processes.ts";

export interface GroupOptions {
  /** Default: the directory of the caller. */
  cwd?: string;
  /** How long it may take; default: as long as it likes. */
  timeoutMs?: number;
}

export interface GroupResult {
  output: string;
  /** 127 where the command cannot be started, null where a signal ended it. */
  code: number | null;
  timedOut: boolean;
}

/** A signal came while the command ran; it has been passed on, and the command has ended. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

const KILL_AFTER_MS = 5000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}

/** Throws Interrupted when a signal comes meanwhile; whatever the command does is a result. */
export function runGroup(argv: string[], options: GroupOptions = {}): Promise<GroupResult> {
  const [program = "", ...args] = argv;
  const { cwd, timeoutMs } = options;
  const child = spawn(program, args, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const { pid } = child;
  const timers: NodeJS.Timeout[] = [];
  let output = "";
  let timedOut = false;
  let interruption: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    if (pid === undefined) return;
    send(-pid, signal);
    // The leader may have to put something back.
    const killFollowers = (): void => followersOf(pid).forEach((one) => send(one, "SIGKILL"));
    timers.push(
      setTimeout(killFollowers, KILL_AFTER_MS),
      setTimeout(() => send(-pid, "SIGKILL"), 2 * KILL_AFTER_MS),
    );
  };
  const interrupt = (signal: NodeJS.Signals): void => {
    interruption ??= signal;
    stop(signal);
  };
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      to.write(chunk);
    });
  }
  for (const signal of SIGNALS) process.on(signal, interrupt);
  if (timeoutMs !== undefined) {
    const late = (): void => {
      timedOut = true;
      stop("SIGTERM");
    };
    timers.push(setTimeout(late, timeoutMs));
  }
  return new Promise((resolve, reject) => {
    const end = (code: number | null): void => {
      timers.forEach((timer) => clearTimeout(timer));
      // Those that outlive their leader have nobody left to wait for them.
      if (pid !== undefined && (timedOut || interruption !== undefined)) send(-pid, "SIGKILL");
      for (const signal of SIGNALS) process.off(signal, interrupt);
      if (interruption === undefined) resolve({ output, code, timedOut });
      else reject(new Interrupted(interruption));
    };
    child.on("error", (error) => {
      output += error.message;
      end(127);
    });
    // Orphans that hold the pipes must not hold us.
    child.on("exit", (code) => setTimeout(() => end(code), 200));
  });
}

/**
 * Runs `main`. When a signal has ended a command of it, takes away what that has left, and exits as
 * shells do.
 */
export async function interruptible(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    console.error(`\n${error.message}`);
    await sweepOld();
    await sweepOwn();
    process.exit(error.exitCode);
  }
}
