// The part of the Workspace interface that runs commands.

import type { RecordedTurn } from "./history.js";

/** A command to run in a mounted workspace. */
export interface ExecOptions {
  /** Working directory inside the workspace, absolute ("/" is the mount root). Default "/". */
  cwd?: string;
  /** Variables added to the curated environment. */
  env?: Record<string, string>;
  /** Names of variables taken over from `callerEnv` (default: this process's environment). */
  passEnv?: string[];
  /** What `passEnv` takes values from. */
  callerEnv?: Record<string, string | undefined>;
  /** Toolchain profiles: node, rust, python, go. */
  profiles?: string[];
  /** Directories added in front of the curated PATH. */
  path?: string[];
  /** A terminal (default, true or its size) or plain pipes (false). */
  pty?: boolean | { cols: number; rows: number; term?: string };
  /** Bytes for standard input; without it exec gives none (end of file). */
  stdin?: Uint8Array | string;
  /** TERM after this time, KILL after `killGraceMs` more; exit code 124. Default: none. */
  timeoutMs?: number;
  /** Default 2000. */
  killGraceMs?: number;
  /** Umask of the command; default 0o022. */
  umask?: number;
  /**
   * Record it as a turn, with a snapshot before and after it where something changed; default: as
   * the workspace is set (`autosnapshot`).
   */
  snapshot?: boolean;
}

/** A word of a command: bytes where it is not UTF-8. */
export type ExecWord = string | Buffer;

/** How a command ended. */
export interface ExitStatus {
  /** 0..255; 128+n for signal n; 124 timeout; 126 not executable; 127 not found. */
  exitCode: number;
  /** Name of the signal that ended it. */
  signal?: string;
  timedOut: boolean;
  durationMs: number;
  /** It was recorded. */
  turn?: RecordedTurn;
  /** It was to be recorded, and why it could not be. */
  unrecorded?: string;
}

/** Result of `exec`: everything it printed (stdout and stderr as they came). */
export interface ExecResult extends ExitStatus {
  output: string;
  /** The same as bytes. */
  bytes: Buffer;
  /** With pipes: the two streams apart. */
  stdout?: Buffer;
  stderr?: Buffer;
}

/** A running command. */
export interface ExecProcess {
  readonly pid: number;
  /**
   * Output as it comes; `stderr` only without a terminal. Bytes before the first listener are kept.
   */
  onOutput(listener: (chunk: Buffer, stream: "stdout" | "stderr") => void): void;
  /** Resolves when the bytes were taken. */
  write(bytes: Uint8Array | string): Promise<void>;
  /** End of input (on a terminal: Ctrl-D). */
  end(): Promise<void>;
  resize(cols: number, rows: number): Promise<void>;
  /** Sends a signal to its process group; default SIGTERM. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Stops and restarts the flow of output. */
  pause(): void;
  resume(): void;
  /** Resolves after all output was delivered. */
  wait(): Promise<ExitStatus>;
}

/** A process that exec started and that still runs. */
export interface ExecRecord {
  pid: number;
  command: string;
  startedAt: number;
}
