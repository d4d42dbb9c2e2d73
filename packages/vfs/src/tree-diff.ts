// What differs between two trees, as the addon hands it over: packed, and a piece at a time,
// because there may be millions of differences and other work waits for this thread.

import { setImmediate } from "node:timers/promises";
import * as native from "@devdev/native";
import { type DiffEntry, type FileKind, KIND } from "@devdev/protocol";
import { bytePath } from "./byte-path.js";
import { guarded, rethrow } from "./fs/call.js";

export interface TreeDiff {
  /** Also where only the mtime differs. */
  times?: boolean;
  /** Also everything in directories that were renamed. */
  withinRenamed?: boolean;
  /**
   * The trees are of different workspaces, and from this inode number on equal numbers are not the
   * same thing; 0: they have nothing in common.
   */
  apartFrom?: number | undefined;
}

/** So many at a time take a few milliseconds. */
const PIECE = 1024;
/** Bytes of an entry before its paths. */
const HEAD = 36;
const NO_KIND = 0xff;
const NO_LENGTH = 0xffff_ffff;

const KINDS = ["added", "removed", "modified", "renamed"] as const;
/** By the bits of what changed, the lowest first. */
const CHANGED = ["type", "content", "target", "mode", "owner", "xattrs", "mtime"] as const;

const FILE_KINDS: Readonly<Record<number, FileKind>> = {
  [KIND.file]: "file",
  [KIND.dir]: "directory",
  [KIND.symlink]: "symlink",
  [KIND.fifo]: "fifo",
  [KIND.socket]: "socket",
};

/** In path order; lets others work between two pieces. */
export async function* differences(
  from: number,
  to: number,
  { times = false, withinRenamed = false, apartFrom }: TreeDiff,
): AsyncGenerator<DiffEntry[]> {
  const options = { times, withinRenamed, ...(apartFrom !== undefined && { apartFrom }) };
  const diff = await guarded(() => native.NativeDiff.start(from, to, options)).catch(rethrow);
  for (;;) {
    const packed = diff.next(PIECE);
    if (packed.length === 0) return;
    yield unpacked(packed);
    await setImmediate();
  }
}

function unpacked(packed: Buffer): DiffEntry[] {
  const entries: DiffEntry[] = [];
  for (let at = 0; at < packed.length;) {
    const behind = at + HEAD + packed.readUInt32LE(at + 28);
    const oldLength = packed.readUInt32LE(at + 32);
    const end = behind + (oldLength === NO_LENGTH ? 0 : oldLength);
    const path = packed.subarray(at + HEAD, behind);
    entries.push(
      entryOf(packed, at, path, oldLength === NO_LENGTH ? undefined : packed.subarray(behind, end)),
    );
    at = end;
  }
  return entries;
}

function entryOf(packed: Buffer, at: number, path: Buffer, oldPath: Buffer | undefined): DiffEntry {
  const changed = packed.readUInt8(at + 1);
  const [fileKind, oldFileKind] = [packed.readUInt8(at + 2), packed.readUInt8(at + 3)];
  const [oldSize, newSize] = [packed.readDoubleLE(at + 12), packed.readDoubleLE(at + 20)];
  const isOtherKind = oldFileKind !== NO_KIND && oldFileKind !== fileKind;
  return {
    kind: KINDS[packed.readUInt8(at) as 0 | 1 | 2 | 3],
    path: bytePath(path),
    ...(oldPath && { oldPath: bytePath(oldPath) }),
    fileKind: kindOf(fileKind),
    ...(isOtherKind && { oldFileKind: kindOf(oldFileKind) }),
    changed: CHANGED.filter((_, bit) => ((changed >> bit) & 1) === 1),
    ...(!Number.isNaN(oldSize) && { oldSize }),
    ...(!Number.isNaN(newSize) && { newSize }),
    ...(!Number.isNaN(oldSize) && { oldMode: packed.readUInt32LE(at + 4) }),
    ...(!Number.isNaN(newSize) && { newMode: packed.readUInt32LE(at + 8) }),
  };
}

function kindOf(bits: number): FileKind {
  return FILE_KINDS[bits] ?? "device";
}
