// Writes the export format to a file: under a name of its own first, so that a file of the wanted
// name is complete, and one that was there stays until then.

import { randomBytes } from "node:crypto";
import { link, open, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { DevdevError, FsError } from "@devdev/errno";
import type { StreamMeta, Tree } from "@devdev/vfs";

import { regularFile } from "./regular-file.js";

export interface ExportOptions {
  /** Replace a file that is there; else it is EEXIST. */
  force?: boolean;
  /** A tar archive instead of the export format. */
  tar?: boolean;
  onProgress?: (bytesDone: number) => void;
  /** Aborted before the file has its name, it never gets it. */
  signal?: AbortSignal;
}

/** Returns its length, and how many inodes had no place in it. */
export async function writeExport(
  tree: Tree,
  meta: StreamMeta,
  file: string,
  options: ExportOptions,
): Promise<{ bytes: number; skipped: number }> {
  const path = resolve(file);
  await refuseTaken(path, options.force ?? false);
  const partial = `${path}.${randomBytes(6).toString("hex")}.partial`;
  const handle = await open(partial, "wx", 0o600).catch((error: unknown) => {
    throw elsewhere(error as NodeJS.ErrnoException, path);
  });
  let skipped = 0;
  const onSkipped = (inodes: number): void => void (skipped = inodes);
  const goOn = (): void => {
    if (options.signal?.aborted) throw new DevdevError("ECANCELED", "the export was cancelled");
  };
  try {
    try {
      goOn();
      const progress = (bytesDone: number): void => {
        goOn();
        options.onProgress?.(bytesDone);
      };
      await tree.exportTo(handle.fd, progress, meta, options.tar ? { onSkipped } : undefined);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const { size } = await stat(partial);
    goOn();
    await put(partial, path, options.force ?? false);
    await syncDirectory(dirname(path));
    return { bytes: size, skipped };
  } finally {
    await rm(partial, { force: true });
  }
}

/** Also with `force` only a file is replaced. */
async function refuseTaken(path: string, force: boolean): Promise<void> {
  try {
    await regularFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (!force) throw exists(path);
}

/** The same failure in terms of the file that was asked for. */
function elsewhere(error: NodeJS.ErrnoException, path: string): FsError {
  return new FsError(error.code ?? "EIO", { syscall: "open", path });
}

async function put(partial: string, path: string, force: boolean): Promise<void> {
  if (force) return rename(partial, path);
  try {
    // Unlike rename it replaces nothing.
    await link(partial, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw exists(path);
    // File systems without hard links: the name was free a moment ago.
    await rename(partial, path);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function exists(path: string): DevdevError {
  return new DevdevError("EEXIST", `${path} is there already`, {
    hint: "use --force to replace it",
  });
}
