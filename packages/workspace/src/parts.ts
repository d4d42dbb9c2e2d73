// What a workspace is made of. Separate from Workspace, so that making the parts (in memory, from a
// store, from a file) and being a workspace know nothing of each other.

import { argumentError, DevdevError } from "@devdev/errno";
import type { Autosnapshot, RetentionRule, SnapshotInfo, WorkspaceOptions } from "@devdev/protocol";
import { type ImportSource, type StreamMeta, Tree, type Vfs, type VfsOptions } from "@devdev/vfs";

import type { Keeper } from "./keeper.js";
import { regularFile } from "./regular-file.js";
import { checkSnapshotName } from "./snapshot-names.js";

const NS_PER_MS = 1_000_000n;

export interface WorkspaceParts {
  id: string;
  name: string;
  vfs: Vfs;
  keeper: Keeper;
  /** The store has the present state since then, milliseconds since the epoch. */
  keptAt?: number;
  /** Of what was imported: how many entries were left out. */
  skipped?: number;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** fsync waits for the keeper. */
  isDurable?: boolean;
  /** Keeps whether it does. */
  keepOptions?: (change: KeptChange) => Promise<void>;
  /** Which commands are recorded; default: none. */
  autosnapshot?: Autosnapshot;
  /** How long snapshots are kept. */
  retention?: RetentionRule;
  /** Whether the kernel may keep writes back; undefined: as it is usual here. */
  writeback?: boolean;
  /** Nothing was kept of it before: no snapshot, no turn that a process which died has left. */
  isNew?: boolean;
  /** Makes a fork of it, and notes that: its state is `tree`, which is that of `point`. */
  fork: (tree: Tree, point: PointInTime, options: ForkNaming) => Promise<WorkspaceParts>;
  /** Told where it was mounted. */
  onMounted?: (path: string) => Promise<void>;
  /** Told that it no longer is. */
  onUnmounted?: () => Promise<void>;
  /** Where it was mounted when the process that had it died. */
  interruptedAt?: string;
  /** Called when everything is closed. */
  onClosed?: () => Promise<void>;
  log?: Log;
}

/** What can be changed of a workspace that is there. */
export interface KeptChange {
  autosnapshot?: Autosnapshot;
  durable?: boolean;
  writeback?: boolean;
  retention?: RetentionRule;
}

/** A state that is kept: of a snapshot, else the one to come back to. */
export interface PointInTime {
  sequence?: number;
  /** When it was the live one, milliseconds since the epoch. */
  at: number;
}

/** What is new in a fork; all else it has of its source. */
export interface ForkNaming {
  name?: string;
  createdAt?: number;
}

/** As much of a logger as is used here. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface ImportOptions {
  /**
   * Keep the owners of the file; else, unless this process is root's, everything becomes its
   * user's.
   */
  numericOwner?: boolean;
  /** It is a tar archive, perhaps compressed, instead of the export format. */
  tar?: boolean;
}

/** An import that may be given up: it fails with ECANCELED then, and nothing is left of it. */
export type ImportRun = ImportOptions & { signal?: AbortSignal };

/** Refuses what is no such setting. */
export function checkAutosnapshot(value: string): void {
  if (value === "exec" || value === "off") return;
  const message = `autosnapshot is "exec" or "off", not ${JSON.stringify(value)}`;
  throw argumentError("TypeError", "ERR_INVALID_ARG_VALUE", message);
}

/** What an engine is made with. */
export function vfsOptionsOf(options: WorkspaceOptions): VfsOptions {
  const { maxBytes, maxInodes, xattrs, clock, uid, gid } = options;
  checkLimit("maxBytes", maxBytes);
  checkLimit("maxInodes", maxInodes);
  return defined({ maxBytes, maxInodes, xattrs, clock, uid, gid });
}

/** The wall clock, or the one that was handed in. */
export function nowOf({ clock }: WorkspaceOptions): () => number {
  return clock ? () => Number(clock() / 1_000_000n) : Date.now;
}

/** Milliseconds since the epoch, each time more than the time before. */
export function increasingTime(): () => number {
  let last = 0;
  return () => (last = Math.max(Date.now(), last + 1));
}

/** Who is to own what is imported: undefined keeps what the file says. */
function ownerOf({ numericOwner }: ImportOptions): { uid: number; gid: number } | undefined {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  if (numericOwner || uid === undefined || gid === undefined || uid === 0) return undefined;
  return { uid, gid };
}

/** The tree of an exported file or of its bytes. */
export async function readImport(
  source: ImportSource,
  options: WorkspaceOptions & ImportRun,
): Promise<Tree> {
  if (typeof source === "string") await regularFile(source);
  const { maxBytes, maxInodes, tar, signal } = options;
  try {
    return await Tree.import(
      source,
      defined({ owner: ownerOf(options), maxBytes, maxInodes, tar, signal }),
    );
  } catch (error) {
    throw signal?.aborted ? importCancelled() : error;
  }
}

export function importCancelled(): DevdevError {
  return new DevdevError("ECANCELED", "the import was cancelled");
}

/** Keeps an imported tree as the first snapshot, under the name and time that the file gives. */
export async function keepImported(parts: WorkspaceParts, tree: Tree): Promise<void> {
  const id = await tree.contentId();
  const { bytes, inodes, meta } = tree;
  const { name, message } = meta ?? {};
  if (name) checkSnapshotName(name);
  const said = { ...(name && { name }), ...(message && { message }) };
  const createdAt = meta ? Number(meta.createdNs / NS_PER_MS) : parts.now();
  const info = { id, ...said, automatic: false, createdAt, bytes, inodes };
  const event = { kind: "import", at: parts.now(), detail: said };
  await parts.keeper.addSnapshot(tree, info, { event });
}

/**
 * What an exported file says of its snapshot beside the tree: all that an import needs to be equal.
 */
export function metaOf({ name = "", message = "", createdAt }: ExportedInfo): StreamMeta {
  return { name, message, createdNs: BigInt(Math.round(createdAt)) * NS_PER_MS };
}

type ExportedInfo = Pick<SnapshotInfo, "createdAt"> & { name?: string; message?: string };

/** Without the fields that were not given. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** A count that a caller gave. */
export function positive(name: string, value: number): number {
  checkLimit(name, value);
  return value;
}

function checkLimit(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value > 0)) return;
  throw argumentError(
    "RangeError",
    "ERR_OUT_OF_RANGE",
    `${name} is a positive integer, not ${value}`,
  );
}
