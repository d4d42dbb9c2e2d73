// Snapshots as one portable stream (docs/FORMAT.md): made and read in native code, moved here.

import { write } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import * as native from "@devdev/native";
import { DEFAULT_BYTES, DEFAULT_INODES, nsOfTime, timeOfNs } from "./defaults.js";
import { thrownBy } from "./fs/call.js";

/** What a stream says of its snapshot besides the tree. */
export interface StreamMeta {
  name: string;
  message: string;
  /** Nanoseconds since the epoch. */
  createdNs: bigint;
}

export interface ImportOptions {
  /** Who owns everything in it; default: the owners that the stream names. */
  owner?: { uid: number; gid: number };
  /** Refuse a larger one; defaults as for a new engine. */
  maxBytes?: number;
  maxInodes?: number;
  /** It is a tar archive, perhaps compressed. */
  tar?: boolean;
  /** Aborted before everything is read, the import fails with ECANCELED. */
  signal?: AbortSignal;
}

/** A file's path, bytes, or pieces as they come. */
export type ImportSource = string | Uint8Array | AsyncIterable<Uint8Array>;

/** A tar archive is wanted, and to know of how many inodes it has no place for. */
export interface TarExport {
  onSkipped?: (inodes: number) => void;
}

const writeTo = promisify(write);

function nativeMeta({ name, message, createdNs }: StreamMeta): native.StreamMeta {
  return { name, message, created: timeOfNs(createdNs) };
}

/** The pieces of a tree's stream. */
export async function* exported(
  tree: number,
  meta?: StreamMeta,
  tar?: TarExport,
): AsyncGenerator<Buffer> {
  try {
    const run = native.NativeExport.start(tree, meta && nativeMeta(meta), tar !== undefined);
    for (let piece; (piece = await run.next()) !== null;) yield piece;
    tar?.onSkipped?.(run.skipped());
  } catch (error) {
    throw thrownBy(error, { syscall: "read" });
  }
}

/** Writes pieces to a descriptor, telling after each how many bytes that is in all. */
export async function writePieces(
  pieces: AsyncIterable<Buffer>,
  fd: number,
  onProgress?: (bytesDone: number) => void,
): Promise<void> {
  let done = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      at += (await writeTo(fd, piece, at, piece.length - at, null)).bytesWritten;
    }
    done += piece.length;
    onProgress?.(done);
  }
}

/** As above, to a file that must not exist yet. */
export async function writeFile(
  pieces: AsyncIterable<Buffer>,
  path: string,
  onProgress?: (bytesDone: number) => void,
): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await writePieces(pieces, file.fd, onProgress);
}

/** Reads a stream to its end; a damaged or hostile one is refused and changes nothing. */
export async function imported(
  source: ImportSource,
  { owner, maxBytes, maxInodes, tar = false, signal }: ImportOptions,
): Promise<{ tree: number; meta: StreamMeta | undefined; skipped: number }> {
  const config = {
    maxBytes: maxBytes ?? DEFAULT_BYTES,
    maxInodes: maxInodes ?? DEFAULT_INODES,
    tar,
    ...owner,
  };
  const cancelling = new native.ImportCancel();
  const isFed = typeof source !== "string" && !(source instanceof Uint8Array);
  const feed = isFed ? new native.ImportFeed() : undefined;
  const cancel = (): void => {
    cancelling.cancel();
    feed?.end();
  };
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel);
  try {
    const reading = native.importTree(feed ?? (source as string), config, cancelling);
    const [read] = await Promise.all([reading, feed && isFed && feedAll(feed, source, cancel)]);
    const { tree, meta, skipped } = read;
    if (!meta) return { tree, meta, skipped };
    const { name, message, created } = meta;
    return { tree, meta: { name, message, createdNs: nsOfTime(created) }, skipped };
  } catch (error) {
    const path = typeof source === "string" ? { path: source } : {};
    throw thrownBy(error, { syscall: "read", ...path });
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/** Hands pieces over until there are no more or nobody wants them. */
async function feedAll(
  feed: native.ImportFeed,
  pieces: AsyncIterable<Uint8Array>,
  cancel: () => void,
): Promise<void> {
  try {
    for await (const piece of pieces) {
      if (piece.length > 0 && !(await feed.push(piece))) break;
    }
    feed.end();
  } catch (error) {
    cancel();
    throw error;
  }
}
