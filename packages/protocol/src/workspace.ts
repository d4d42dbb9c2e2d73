// The Workspace interface: what the in-process library (@devdev/workspace) and the client of a
// daemon
// (@devdev/client) both implement, so that code written against one runs against the other.

import type { WorkspaceFs } from "./workspace-fs.js";

/** How a workspace is made. */
export interface WorkspaceOptions {
  /** Its name; by default made from the mount path or a random word. Unique in a data directory. */
  name?: string;
  /** Most bytes of content; default 16 GiB. Beyond it operations fail with ENOSPC. */
  maxBytes?: number;
  /** Most inodes; default 16,000,000. */
  maxInodes?: number;
  /** Offer extended attributes (default true). */
  xattrs?: boolean;
  /**
   * Keep nothing in a store: state ends with the process. Default true in process, false in a
   * daemon.
   */
  ephemeral?: boolean;
  /** Directory of the store of a persistent workspace. */
  dataDir?: string;
  /** In-process only: the clock, milliseconds since the epoch as a bigint of nanoseconds. */
  clock?: () => bigint;
  /** Owner of the root; default: this process's user. */
  uid?: number;
  gid?: number;
}

/** How a workspace is mounted at a host path. */
export interface HostMountOptions {
  /** Let other users enter (FUSE's allow_other). */
  allowOther?: boolean;
}

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

/** One snapshot of a workspace. */
export interface SnapshotInfo {
  /** Hash of the content, 64 hex digits: equal trees have equal ids. */
  id: string;
  /** Number within the workspace, from 1 on. */
  sequence: number;
  name?: string;
  message?: string;
  /** Taken by devdev itself, e.g. before a restore. */
  automatic: boolean;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Allocated bytes and inodes of the tree. */
  bytes: number;
  inodes: number;
}

/** A snapshot held by a caller of the library. */
export interface Snapshot extends SnapshotInfo {
  /** The export format (docs/FORMAT.md), deterministic. */
  toBytes(): Promise<Buffer>;
}

export interface SnapshotOptions {
  name?: string;
  message?: string;
}

/** What snapshot reports. */
export interface SnapshotResult extends Snapshot {
  durationMs: number;
  /** How long operations were held up by the freeze itself. */
  pauseMs: number;
  /** Files changed since the snapshot before it. */
  filesChanged: number;
}

export interface RestoreOptions {
  /** Pause exec's processes, restore, resume. */
  live?: boolean;
  /** Kill exec's processes first. */
  kill?: boolean;
}

export interface RestoreResult {
  /** The snapshot that is live now. */
  id: string;
  /** The automatic snapshot of the state before: restore it to undo. */
  before: SnapshotInfo;
  filesChanged: number;
  durationMs: number;
}

export type ChangeKind = "added" | "removed" | "modified" | "renamed";
export type FileKind = "file" | "directory" | "symlink" | "fifo" | "socket" | "device";

/** A path: a string when it is UTF-8, else its bytes. */
export type BytePath = string | { b64: string };

/** One difference between two trees. */
export interface DiffEntry {
  kind: ChangeKind;
  path: BytePath;
  /** Of a renamed entry: its path before. */
  oldPath?: BytePath;
  fileKind: FileKind;
  /** What differs in a modified or renamed entry. */
  changed: Array<"content" | "mode" | "owner" | "mtime" | "xattrs" | "target" | "type">;
  oldSize?: number;
  newSize?: number;
  oldMode?: number;
  newMode?: number;
}

export interface DiffOptions {
  /** Also give a unified patch of text files. */
  patch?: boolean;
  /** Count added and removed lines. */
  stat?: boolean;
}

export interface DiffStat {
  path: BytePath;
  added: number;
  removed: number;
  binary: boolean;
}

export interface DiffResult {
  entries: DiffEntry[];
  stats?: DiffStat[];
  patch?: string;
}

export interface WorkspaceUsage {
  bytes: number;
  inodes: number;
  maxBytes: number;
  maxInodes: number;
  /** Bytes changed that the store does not have yet (always all of them when ephemeral). */
  dirtyBytes: number;
  /** When the last checkpoint or snapshot was durable, milliseconds since the epoch. */
  lastCheckpointAt?: number;
}

/** A process that exec started and that still runs. */
export interface ExecRecord {
  pid: number;
  command: string;
  startedAt: number;
}

/**
 * A workspace: a tree that can be changed through `fs`, mounted at a host path, snapshotted and
 * restored.
 * Everything but `exec`, `spawn` and `shell` works unmounted. Errors of `fs` are FsError; others
 * carry a `code` too.
 */
export interface Workspace extends AsyncDisposable {
  readonly id: string;
  readonly name: string;
  readonly fs: WorkspaceFs;
  /** Where it is mounted now. */
  readonly mountPoint: string | undefined;
  /**
   * Mounts it; without a path at a fresh `devdev-ws-XXXX` in the temp directory. Returns the
   * absolute path.
   */
  mount(path?: string, options?: HostMountOptions): Promise<string>;
  /** EBUSY (listing who uses it) unless `force`. */
  unmount(options?: { force?: boolean }): Promise<void>;
  exec(file: ExecWord, args?: readonly ExecWord[], options?: ExecOptions): Promise<ExecResult>;
  spawn(file: ExecWord, args?: readonly ExecWord[], options?: ExecOptions): Promise<ExecProcess>;
  /** Commands started by exec and spawn that still run. */
  processes(): Promise<ExecRecord[]>;
  snapshot(options?: SnapshotOptions): Promise<SnapshotResult>;
  /** Oldest first. */
  snapshots(): Promise<Snapshot[]>;
  /** By id (a unique prefix of at least 4 digits), name, or -n (the n-th newest). */
  restore(ref: string | number, options?: RestoreOptions): Promise<RestoreResult>;
  /** Between two snapshots; `b` defaults to the live state, `a` to the newest snapshot. */
  diff(a?: string, b?: string, options?: DiffOptions): Promise<DiffResult>;
  usage(): Promise<WorkspaceUsage>;
  /** Makes everything done so far durable. */
  checkpoint(): Promise<void>;
  /** Unmounts, and checkpoints a persistent workspace. */
  close(): Promise<void>;
}
