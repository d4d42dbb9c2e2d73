// The error of a command that did not start: which step failed, why, and the exit code that a shell
// would give. Separate because clients show it and the launcher makes it.
import util from "node:util";

/** The steps of a launch; the position is the number on the wire (native/helper/src/launch.rs). */
export const LAUNCH_STAGES = [
  "connect",
  "stdio",
  "session",
  "cgroup",
  "limits",
  "chdir",
  "lookup",
  "exec",
] as const;

export type LaunchStage = (typeof LAUNCH_STAGES)[number];

const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const LAUNCH_FAILED = 125;

export interface LaunchFailure {
  stage: LaunchStage;
  /** Name of the errno, for example "ENOENT". */
  code: string;
  /** What the step was about: a program, a directory, a cgroup file. */
  path?: string;
  /** The PATH that was searched. */
  searchPath?: string;
  cause?: unknown;
}

/** A command that did not start. The message is a sentence without a prefix. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  readonly syscall = "exec";
  readonly code: string;
  readonly errno: number | undefined;
  readonly stage: LaunchStage;
  readonly path: string | undefined;
  /** 127 not found, 126 found but not executable, 125 anything else. */
  readonly exitCode: number;

  constructor(failure: LaunchFailure) {
    super(describe(failure), { cause: failure.cause });
    this.code = failure.code;
    this.errno = errnoOf(failure.code);
    this.stage = failure.stage;
    this.path = failure.path;
    this.exitCode = exitCodeOf(failure);
  }
}

function exitCodeOf({ stage, code }: LaunchFailure): number {
  if (stage === "lookup") return code === "ENOENT" ? NOT_FOUND : NOT_EXECUTABLE;
  return stage === "exec" ? NOT_EXECUTABLE : LAUNCH_FAILED;
}

function describe(failure: LaunchFailure): string {
  const path = failure.path ?? "";
  const reason = errnoText(failure.code);
  switch (failure.stage) {
    case "lookup":
      return describeLookup(failure, path, reason);
    case "exec":
      if (failure.code === "ENOENT") return `${path}: the interpreter named in it is missing`;
      return `${path}: ${reason}`;
    case "chdir":
      return `working directory ${path}: ${reason}`;
    case "cgroup":
      return `could not enter the cgroup ${path}: ${reason}`;
    case "connect":
      return `the launcher did not answer: ${reason}${path && ` (${path})`}`;
    case "stdio":
    case "session":
    case "limits":
      return `could not set up ${failure.stage} for the command: ${reason}${path && ` (${path})`}`;
  }
}

function describeLookup(failure: LaunchFailure, path: string, reason: string): string {
  if (path === "") return "the name of the command is empty";
  if (failure.code === "EACCES") return `${path}: not an executable file`;
  if (failure.code !== "ENOENT" || path.includes("/")) return `${path}: ${reason}`;
  if (!failure.searchPath) return `${path}: not found, for the environment has no PATH`;
  return `${path}: not found on PATH (${failure.searchPath})`;
}

const ERRNOS = new Map([...util.getSystemErrorMap()].map(([errno, [code]]) => [code, errno]));

function errnoOf(code: string): number | undefined {
  return ERRNOS.get(code);
}

function errnoText(code: string): string {
  const errno = errnoOf(code);
  const entry = errno === undefined ? undefined : util.getSystemErrorMap().get(errno);
  return entry?.[1] ?? code;
}

/** The name of a raw, positive errno of Linux. */
export function errnoName(errno: number): string {
  return util.getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}
