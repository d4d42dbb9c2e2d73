// One running command: input, output, size, signals, time limit, end. The Workspace interface calls
// it ExecProcess; how it came into being is launcher.ts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";

import type { ExecProcess, ExitStatus } from "@devdev/protocol";

import type { Cgroup } from "./cgroup.js";
import { brokenPipe } from "./input.js";
import { type LaunchOptions, type Launched, launch, type RawExit } from "./launcher.js";
import { dimension } from "./launch-spec.js";
import { type OutputListener, OutputQueue } from "./output.js";
import { ProcessGroup } from "./process-group.js";

const TIMED_OUT = 124;
const SIGNALLED = 128;
const DEFAULT_KILL_GRACE_MS = 2000;
const DEFAULT_UMASK = 0o022;

export interface SpawnOptions {
  /** The devdev-helper binary. */
  helperPath: string;
  argv: LaunchOptions["argv"];
  /** The whole environment of the command. */
  env: LaunchOptions["env"];
  /** A directory of the host. */
  cwd: LaunchOptions["cwd"];
  /** A terminal of this size; without it plain pipes. */
  pty?: { cols: number; rows: number } | undefined;
  /** Default "pipe"; "ignore" is an empty input (on a terminal: Ctrl-D at once). */
  stdin?: "pipe" | "ignore" | undefined;
  cgroup?: Cgroup | undefined;
  limits?: LaunchOptions["limits"];
  /** Default 0o022. */
  umask?: number | undefined;
  /** TERM after this time and KILL after `killGraceMs` (default 2000) more; exit code 124. */
  timeoutMs?: number | undefined;
  killGraceMs?: number | undefined;
  launchTimeoutMs?: number | undefined;
}

/** Resolves when the command runs; rejects with a LaunchError when it cannot. */
export async function spawnProcess(options: SpawnOptions): Promise<SpawnedProcess> {
  const launched = await launch({
    ...options,
    terminal: options.pty,
    stdin: options.stdin ?? "pipe",
    umask: options.umask ?? DEFAULT_UMASK,
    cgroupProcs: options.cgroup?.procsFile,
  });
  return new SpawnedProcess(launched, options);
}

export class SpawnedProcess implements ExecProcess {
  readonly pid: number;
  /** All its processes; outlives the command if it left some in the background. */
  readonly group: ProcessGroup;
  readonly #launched: Launched;
  readonly #helperPath: string;
  readonly #killGraceMs: number;
  readonly #startedAt = performance.now();
  readonly #output = new OutputQueue();
  /** Resolves when the command has ended and its output is read, delivered or not. */
  readonly ended: Promise<ExitStatus>;
  #timedOut = false;
  #closed = false;
  #terminating: Promise<void> | undefined;
  #resizing: Promise<void> = Promise.resolve();
  #wantedSize: [cols: number, rows: number] | undefined;

  constructor(launched: Launched, options: SpawnOptions) {
    this.pid = launched.pid;
    this.group = new ProcessGroup(launched.pid, options.cgroup);
    this.#launched = launched;
    this.#helperPath = options.helperPath;
    this.#killGraceMs = options.killGraceMs ?? DEFAULT_KILL_GRACE_MS;
    for (const { stream, fd, name } of launched.outputs) this.#output.add(stream, fd, name);
    this.#output.hold();
    this.ended = this.#live(options.timeoutMs);
    // A failure belongs to whoever waits, also if that is later than the end.
    this.ended.catch(() => {});
    if (options.pty && options.stdin === "ignore") void this.end();
  }

  onOutput(listener: OutputListener): void {
    this.#output.listen(listener);
  }

  pause(): void {
    this.#output.pause();
  }

  resume(): void {
    this.#output.resume();
  }

  /** Rejects with EPIPE when the command no longer reads; need not be awaited. */
  write(bytes: Uint8Array | string): Promise<void> {
    const { input } = this.#launched;
    return handled(
      input ? input.write(Buffer.from(bytes as string)) : Promise.reject(brokenPipe()),
    );
  }

  /** Resolves when all input was taken, or nobody is left to take it. */
  async end(): Promise<void> {
    await this.#launched.input?.end();
  }

  /** Of several sizes in a row only the last is sure to be set. Nothing on pipes. */
  async resize(cols: number, rows: number): Promise<void> {
    this.#wantedSize = [dimension(cols), dimension(rows)];
    this.#resizing = this.#resizing.then(() => this.#setSize());
    await this.#resizing;
  }

  /** To the process group of the command; nothing if it is gone. */
  async kill(signal: NodeJS.Signals | number = "SIGTERM"): Promise<void> {
    this.group.signal(signal);
  }

  /** TERM to all processes of the command, KILL after the grace time. */
  terminate(graceMs = this.#killGraceMs): Promise<void> {
    this.#terminating ??= this.group.terminate(graceMs);
    return this.#terminating;
  }

  /** Resolves when the command has ended and the listener has all output. */
  async wait(): Promise<ExitStatus> {
    const status = await this.ended;
    await this.#output.delivered();
    return status;
  }

  async #live(timeoutMs: number | undefined): Promise<ExitStatus> {
    const expire = () => {
      this.#timedOut = true;
      void handled(this.terminate());
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
    const exit = await this.#launched.exited;
    clearTimeout(timer);
    const durationMs = performance.now() - this.#startedAt;
    try {
      await this.#terminating;
    } finally {
      await this.#close();
    }
    const exitCode = this.#timedOut ? TIMED_OUT : exitCodeOf(exit);
    const status: ExitStatus = { exitCode, timedOut: this.#timedOut, durationMs };
    return exit.signal === null ? status : { ...status, signal: exit.signal };
  }

  /** Drains the output and lets go of terminal and pipes. */
  async #close(): Promise<void> {
    const { input, slave } = this.#launched;
    await this.#output.finish(slave !== undefined);
    this.#closed = true;
    input?.close();
    if (slave !== undefined) fs.closeSync(slave);
  }

  async #setSize(): Promise<void> {
    const { slave } = this.#launched;
    const size = this.#wantedSize;
    if (size === undefined || slave === undefined || this.#closed) return;
    this.#wantedSize = undefined;
    const helper = spawn(this.#helperPath, ["winsize", ...size.map(String)], {
      cwd: "/",
      env: {},
      // Not the master: libuv would make it blocking.
      stdio: [slave, "ignore", "ignore"],
    });
    const [code] = (await once(helper, "exit")) as [number | null];
    if (code === 0 || this.#closed) return;
    const error = new Error("EIO: the size of the terminal could not be set, resize");
    throw Object.assign(error, { code: "EIO", syscall: "resize" });
  }
}

function exitCodeOf({ code, signal }: RawExit): number {
  return signal === null ? (code ?? 0) : SIGNALLED + os.constants.signals[signal];
}

/** The same promise, but whoever does not look at it is not brought down by its failure. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
