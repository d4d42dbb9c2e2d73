// Commands in a mounted workspace: where they run, with what environment, and what still runs.

import { posix } from "node:path";

import { argumentError, DevdevError } from "@devdev/errno";
import {
  buildEnvironment,
  CgroupHome,
  Executor,
  LaunchError,
  readHost,
  type SpawnedProcess,
} from "@devdev/exec";
import type { ExecOptions, ExecRecord, ExecWord } from "@devdev/protocol";
import { helperPath } from "@devdev/vfs";

import { FailedProcess } from "./failed-process.js";

/** When a terminal is wanted and nobody says how large. */
const DEFAULT_SIZE = { cols: 80, rows: 24 };
/** Between TERM and KILL when a restore or a close ends what runs. */
const KILL_GRACE_MS = 2000;
const MOST_LISTED = 5;
/**
 * The step of a launch at which an error means that there is no such command, or none that runs.
 */
const COMMAND_STAGES = new Set(["lookup", "exec"]);

let cgroups: CgroupHome | undefined;
let cgroupsOpened = false;

/** One per process, made when the first command runs. */
function cgroupHome(): CgroupHome | undefined {
  if (!cgroupsOpened) cgroups = CgroupHome.open();
  cgroupsOpened = true;
  return cgroups;
}

export class Commands {
  #executor: Executor | undefined;

  /** Whether something that spawn started still runs. */
  get busy(): boolean {
    return this.list().length > 0;
  }

  list(): ExecRecord[] {
    return this.#executor?.processes() ?? [];
  }

  async spawn(
    mountPoint: string,
    argv: readonly ExecWord[],
    options: ExecOptions,
  ): Promise<SpawnedProcess | FailedProcess> {
    const cwd = hostDirectory(mountPoint, options.cwd ?? "/");
    const terminal = terminalOf(options);
    const env = buildEnvironment({
      host: readHost(),
      home: posix.join(mountPoint, ".devdev/home"),
      tmpdir: posix.join(mountPoint, ".devdev/tmp"),
      cwd,
      terminal,
      profiles: options.profiles,
      path: options.path,
      passEnv: options.passEnv,
      callerEnv: options.callerEnv ?? process.env,
      env: options.env,
    });
    this.#executor ??= new Executor({ helperPath: helperPath(), cgroups: cgroupHome() });
    const started = performance.now();
    try {
      return await this.#executor.spawn({
        argv,
        env,
        cwd,
        pty: terminal && { cols: terminal.cols, rows: terminal.rows },
        umask: options.umask,
        timeoutMs: options.timeoutMs,
        killGraceMs: options.killGraceMs,
      });
    } catch (error) {
      if (!(error instanceof LaunchError)) throw error;
      if (COMMAND_STAGES.has(error.stage)) {
        return new FailedProcess(error, terminal !== undefined, performance.now() - started);
      }
      throw new DevdevError(error.code, error.message, { cause: error });
    }
  }

  /**
   * Makes way for a restore: refuses while something runs, unless it may be killed or paused.
   * Returns what lets the paused go on.
   */
  async makeWay(options: { live?: boolean; kill?: boolean }): Promise<() => void> {
    const running = this.list();
    if (running.length === 0 || !this.#executor) return () => undefined;
    if (options.kill) {
      await this.end();
      return () => undefined;
    }
    if (!options.live) {
      throw new DevdevError("EBUSY", `the workspace is in use by ${describe(running)}`, {
        hint: "wait for them, pause them meanwhile (--live), or end them (--kill)",
        details: { processes: running },
      });
    }
    const pause = await this.#executor.pause();
    if (pause.running.length === 0) return () => pause.resume();
    pause.resume();
    const pids = new Set(pause.running.map(({ pid }) => pid));
    throw new DevdevError("EBUSY", "some of the workspace's processes could not be paused", {
      hint: "wait for them, or end them (--kill)",
      details: { processes: running.filter(({ pid }) => pids.has(pid)) },
    });
  }

  /** Ends everything that runs. */
  async end(): Promise<void> {
    await this.#executor?.terminate(KILL_GRACE_MS);
  }
}

/** "2 processes: sleep 100 (pid 12), make (pid 13)". */
export function describe(processes: readonly { pid: number; command: string }[]): string {
  const some = processes.slice(0, MOST_LISTED).map(({ pid, command }) => `${command} (pid ${pid})`);
  const rest = processes.length > MOST_LISTED ? ", ..." : "";
  const noun = processes.length === 1 ? "process" : "processes";
  return `${processes.length} ${noun}: ${some.join(", ")}${rest}`;
}

/** The host path of a directory inside the workspace; `..` does not lead out of it. */
function hostDirectory(mountPoint: string, cwd: string): string {
  if (cwd.startsWith("/"))
    return posix.join(mountPoint, posix.normalize(cwd)).replace(/(.)\/$/, "$1");
  throw argumentError(
    "RangeError",
    "ERR_INVALID_ARG_VALUE",
    `the working directory is absolute within the workspace: "${cwd}"`,
  );
}

function terminalOf({ pty = true }: ExecOptions) {
  if (pty === false) return undefined;
  return pty === true ? DEFAULT_SIZE : pty;
}
