// What the daemon asks of the keeper of a data directory's workspaces. WorkspaceHost implements it.

import type { ForkOptions, WorkspaceOptions, WorkspaceSummary } from "@devdev/protocol";

import type { Imported } from "./import-source.js";
import type { Log } from "./parts.js";
import type { Workspace } from "./workspace.js";

export interface HostOptions {
  /** The data directory (DEVDEV_HOME or ~/.devdev): `store/` is below it. */
  dataDir: string;
  /** For the launcher's socket. */
  runDir: string;
  /** pino-shaped. */
  log: Log & { error(fields: object, message: string): void };
}

export interface Host {
  /** Every workspace of the data directory and every ephemeral one, oldest first. */
  list(): Promise<WorkspaceSummary[]>;
  /** Those that are open now; asks no store, and waits for none that is being opened. */
  opened(): Workspace[];
  /**
   * The one open Workspace of this id; brings it back as last checkpointed when it is not open.
   * ENOENT.
   */
  open(id: string): Promise<Workspace>;
  /**
   * A new one; its name (from `mountPath` or random when not given) is made unique. EEXIST when
   * given and taken.
   */
  create(
    options: Omit<WorkspaceOptions, "dataDir" | "clock"> & { mountPath?: string },
  ): Promise<Workspace>;
  /** A fork of it; without a name it is called after it. EEXIST when given and taken. */
  fork(id: string, options?: ForkOptions & { name?: string }): Promise<Workspace>;
  /** Removes it with its snapshots. EBUSY when it is mounted or runs commands, unless `force`. */
  remove(id: string, options: { force: boolean }): Promise<void>;
  /**
   * Writes a snapshot (default: the live state) to a file, complete or not at all. EEXIST unless
   * `force`.
   */
  export(
    id: string,
    file: string,
    options: {
      ref?: string | number;
      force?: boolean;
      /** A tar archive instead of the export format. */
      tar?: boolean;
      onProgress?: (bytesDone: number) => void;
      signal?: AbortSignal;
    },
  ): Promise<{ id: string; bytes: number; skipped: number }>;
  /**
   * A new workspace from an exported file or its pieces, with one snapshot of it. When no name is
   * given, it is that of the file, or a random one with `nameFromFile: false`, made unique.
   */
  import(
    source: string | AsyncIterable<Uint8Array>,
    options: Omit<WorkspaceOptions, "dataDir" | "clock"> & {
      numericOwner?: boolean;
      /** A tar archive, perhaps compressed. */
      tar?: boolean;
      /** Default true. */
      nameFromFile?: boolean;
      signal?: AbortSignal;
    },
  ): Promise<Imported>;
  /** Problems of the store, one sentence each; empty when it is whole. */
  check(): Promise<string[]>;
  /** Checkpoints and unmounts everything, closes the store, gives the lock back. */
  close(): Promise<void>;
}
