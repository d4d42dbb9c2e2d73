// Frozen trees: compared, read and exported without being live.

import * as native from "@devdev/native";
import type { DiffEntry, PathArgument } from "@devdev/protocol";
import { pathBytes } from "./fs/arguments.js";
import { guarded, rethrow, thrownBy } from "./fs/call.js";
import { differences, type TreeDiff } from "./tree-diff.js";
import { mergedTrees, type TreeMerge, type TreeMerged } from "./tree-merge.js";
import {
  exported,
  imported,
  type ImportOptions,
  type ImportSource,
  type StreamMeta,
  type TarExport,
  writeFile,
  writePieces,
} from "./transfer.js";
import type { Vfs } from "./vfs.js";

/** Trees that nobody disposed of go when they are collected. */
const forgotten = new FinalizationRegistry<number>((handle) => native.treeDispose(handle));

export class Tree implements Disposable {
  /** Process-wide number. */
  readonly handle: number;
  /** Bytes allocated, and inodes. */
  readonly bytes: number;
  readonly inodes: number;
  /** All inode numbers that its workspace had given out are below this one. */
  readonly nextIno: number;
  /** Of a tree that `freeze` made: how long operations were held up. */
  readonly pauseNs: number;
  /** Of a tree that was imported: what its stream said of the snapshot. */
  readonly meta: StreamMeta | undefined;
  /** Of a tree that was imported: how many entries were left out. */
  skipped = 0;

  private constructor(handle: number, pauseNs: number, meta?: StreamMeta) {
    this.handle = handle;
    this.pauseNs = pauseNs;
    this.meta = meta;
    const { bytes, inodes, nextIno } = native.treeInfo(handle);
    [this.bytes, this.inodes, this.nextIno] = [bytes, inodes, nextIno];
    forgotten.register(this, handle, this);
  }

  /** Takes over a number that the addon gave. For this package. */
  static own(handle: number, pauseNs = 0): Tree {
    return new Tree(handle, pauseNs);
  }

  /** The same tree by its process-wide number, made by any thread; a reference of its own. */
  static attach(handle: number): Tree {
    return new Tree(
      guarded(() => native.treeAttach(handle)),
      0,
    );
  }

  /** From the export format; a damaged or hostile stream is refused and changes nothing. */
  static async import(source: ImportSource, options: ImportOptions = {}): Promise<Tree> {
    const { tree, meta, skipped } = await imported(source, options);
    const made = new Tree(tree, 0, meta);
    made.skipped = skipped;
    return made;
  }

  /** A directory of the host, to compare with: without content, only names, attributes, hashes. */
  static async ofHost(path: PathArgument): Promise<Tree> {
    const bytes = pathBytes(path);
    const reading = guarded(() => native.hostTree(bytes));
    const handle = await reading.catch((error: unknown) => {
      throw thrownBy(error, { syscall: "open", path: bytes });
    });
    return new Tree(handle, 0);
  }

  /** Lets reads of this tree fetch blocks through the engine's needs (trees from a store). */
  loadThrough(vfs: Vfs): this {
    guarded(() => native.treeLoadThrough(this.handle, vfs.handle));
    return this;
  }

  /** 64 hex digits; equal trees have equal ids. */
  async contentId(): Promise<string> {
    const id = await guarded(() => native.treeContentId(this.handle)).catch(rethrow);
    return id.toString("hex");
  }

  /** What changed from this tree to `other`, in path order. */
  async diff(other: Tree, options: TreeDiff = {}): Promise<DiffEntry[]> {
    const entries: DiffEntry[] = [];
    for await (const some of this.differences(other, options)) entries.push(...some);
    return entries;
  }

  /** The same in pieces, however much there is. */
  differences(other: Tree, options: TreeDiff = {}): AsyncGenerator<DiffEntry[]> {
    return differences(this.handle, other.handle, options);
  }

  /** How many entries that is, of two states of one workspace. */
  async countChanges(other: Tree): Promise<number> {
    return guarded(() => native.treeDiffCount(this.handle, other.handle)).catch(rethrow);
  }

  /** Makes the changes from `base` to `theirs` in this tree, which comes from `base` too. */
  async merge(base: Tree, theirs: Tree, options: TreeMerge): Promise<TreeMerged<Tree>> {
    const merged = await mergedTrees([base.handle, this.handle, theirs.handle], options);
    return { ...merged, tree: Tree.own(merged.tree) };
  }

  /** The content of a regular file. Symlinks are not followed. */
  async readFile(path: PathArgument): Promise<Buffer> {
    const bytes = pathBytes(path);
    return native.treeReadFile(this.handle, bytes).catch((error: unknown) => {
      throw thrownBy(error, { syscall: "open", path: bytes });
    });
  }

  /** Up to `length` bytes of it from `offset` on. */
  async readRange(path: PathArgument, offset: number, length: number): Promise<Buffer> {
    const bytes = pathBytes(path);
    return native.treeReadRange(this.handle, bytes, offset, length).catch((error: unknown) => {
      throw thrownBy(error, { syscall: "read", path: bytes });
    });
  }

  async readlink(path: PathArgument): Promise<Buffer> {
    const bytes = pathBytes(path);
    return native.treeReadlink(this.handle, bytes).catch((error: unknown) => {
      throw thrownBy(error, { syscall: "readlink", path: bytes });
    });
  }

  /** Writes the export format to a new file, or to an open descriptor. */
  async exportTo(
    target: string | number,
    onProgress?: (bytesDone: number) => void,
    meta: StreamMeta | undefined = this.meta,
    tar?: TarExport,
  ): Promise<void> {
    const pieces = this.pieces(meta, tar);
    if (typeof target === "number") await writePieces(pieces, target, onProgress);
    else await writeFile(pieces, target, onProgress);
  }

  /** The export format, or a tar archive, piece by piece. */
  pieces(meta: StreamMeta | undefined = this.meta, tar?: TarExport): AsyncGenerator<Buffer> {
    return exported(this.handle, meta, tar);
  }

  /** The export format in memory. */
  async toBytes(meta: StreamMeta | undefined = this.meta): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.pieces(meta)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** Lets the tree go; once is enough. */
  dispose(): void {
    forgotten.unregister(this);
    native.treeDispose(this.handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
