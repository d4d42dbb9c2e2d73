// One engine: the live tree, its file API, its host mount, freezing and restoring.

import { isMainThread } from "node:worker_threads";
import { devdevError } from "@devdev/errno";
import * as native from "@devdev/native";
import type { WorkspaceFs } from "@devdev/protocol";
import { DEFAULT_BYTES, DEFAULT_INODES, timeOfNs } from "./defaults.js";
import { guarded, rethrow, type EngineRef } from "./fs/call.js";
import { grafted, type GraftPath } from "./graft.js";
import { workspaceFs } from "./fs/workspace-fs.js";
import { HostMount, type HostMountConfig } from "./host-mount.js";
import { Tree } from "./tree.js";

/** How an engine is made. */
export interface VfsOptions {
  /** Most bytes of content; default 16 GiB. */
  maxBytes?: number;
  /** Most inodes; default 16,000,000. */
  maxInodes?: number;
  /** Offer extended attributes (default true). */
  xattrs?: boolean;
  /**
   * The clock, nanoseconds since the epoch; default the system's. Asked before each call of `fs`.
   */
  clock?: () => bigint;
  /** Owner of the root and of what `fs` creates; default this process's user. */
  uid?: number;
  gid?: number;
}

export interface VfsUsage {
  bytes: number;
  inodes: number;
  maxBytes: number;
  maxInodes: number;
  /** Bytes changed that the store does not have (see `markClean`). */
  dirtyBytes: number;
}

export interface RestoreReport {
  /** Inodes whose attributes or content changed. */
  filesChanged: number;
  /** Names that appeared, went or changed their meaning. */
  namesChanged: number;
  /** How long operations were held up by the switch itself. */
  pauseNs: number;
}

export interface FlushReport {
  /** Inodes that had to be waited for. */
  inodes: number;
  /** Processes whose mappings were looked at. */
  processes: number;
  ms: number;
}

/** A name in `.devdev/snapshots`. */
export interface SnapshotName {
  name: string | Buffer;
  /** Its time, nanoseconds since the epoch. */
  timeNs: bigint;
  /** Its tree when no store has it: kept as long as it is listed. Else it is a need. */
  tree?: Tree | undefined;
}

/** A flush waits for the kernel to write pages back: memory speed, so this is far beyond. */
const FLUSH_DEADLINE_MS = 30_000;
// `process.exit` runs no cleanup hook of the addon, and Node waits for its pool's work, which may
// wait for a block. In workers hooks do run, and the engines may be others'.
if (isMainThread) {
  process.once("exit", () => {
    native.needsAbandon();
    native.abandonMounts();
  });
}

export class Vfs implements Disposable {
  /** Process-wide number: send it to a worker, which attaches. */
  readonly handle: number;
  readonly fs: WorkspaceFs;
  readonly #owner: boolean;
  #hostMount: HostMount | undefined;
  #sync: (() => Promise<void>) | undefined;

  private constructor(handle: number, clock: (() => bigint) | undefined, owner: boolean) {
    this.handle = handle;
    this.#owner = owner;
    const engine: EngineRef = {
      handle,
      tick: () => {
        if (clock === undefined) return;
        const { secs, nanos } = timeOfNs(clock());
        native.setClock(handle, secs, nanos);
      },
      sync: async () => this.#sync?.(),
    };
    this.fs = workspaceFs(engine);
  }

  static #make(options: VfsOptions, tree?: Tree): Vfs {
    const { clock } = options;
    const handle = guarded(() =>
      native.engineCreate({
        maxBytes: options.maxBytes ?? DEFAULT_BYTES,
        maxInodes: options.maxInodes ?? DEFAULT_INODES,
        xattrs: options.xattrs ?? true,
        uid: options.uid ?? process.getuid?.() ?? 0,
        gid: options.gid ?? process.getgid?.() ?? 0,
        ...(clock && { time: timeOfNs(clock()) }),
        ...(tree && { tree: tree.handle }),
      }),
    );
    return new Vfs(handle, clock, true);
  }

  static create(options: VfsOptions = {}): Vfs {
    return Vfs.#make(options);
  }

  /** A new engine whose live state is `tree`: after a start, of an import, a fork. */
  static fromTree(tree: Tree, options: VfsOptions = {}): Vfs {
    return Vfs.#make(options, tree);
  }

  /** The engine of this number, made by any thread of the process. */
  static attach(handle: number): Vfs {
    guarded(() => native.engineCheck(handle));
    return new Vfs(handle, undefined, false);
  }

  /** The host mount, while there is one. */
  get hostMount(): HostMount | undefined {
    return this.#hostMount?.alive === true ? this.#hostMount : undefined;
  }

  /** Mounts at an absolute host path (made if absent, and then removed at unmount). */
  async mount(path: string, config: HostMountConfig = {}): Promise<HostMount> {
    this.#hostMount = await HostMount.open(this.handle, path, { sync: this.#sync, ...config });
    return this.#hostMount;
  }

  /**
   * From now on fsync waits for `sync`, which makes durable what there is when it is called: that
   * of
   * `fs` at once, that of the mount from the next one on. Undefined: it has nothing to wait for.
   */
  syncThrough(sync: (() => Promise<void>) | undefined): void {
    this.#sync = sync;
  }

  /**
   * Brings stores through shared mappings into the engine; call before the `freeze` of a snapshot.
   */
  async flush(): Promise<FlushReport> {
    const flushing = guarded(() => native.flush(this.handle, FLUSH_DEADLINE_MS));
    const { complete, ...report } = await flushing.catch(rethrow);
    if (!complete) {
      throw devdevError("ETIMEDOUT", "the kernel did not write all mapped pages back in time", {
        hint: "end the processes that store to mapped files, then try again",
      });
    }
    return report;
  }

  /** Freezes the live tree; O(1). `pauseNs` of the result says how long operations waited. */
  freeze(): Tree {
    const { tree, pauseNs } = guarded(() => native.freeze(this.handle));
    return Tree.own(tree, pauseNs);
  }

  /** `base`, which was frozen from this engine, with these paths as they are in `source`. */
  graft(base: Tree, source: Tree, paths: readonly GraftPath[]): Promise<Tree> {
    return grafted(this.handle, base, source, paths);
  }

  /** A restore is to come: what takes a while to find out for it is begun. */
  expectRestore(): void {
    guarded(() => native.expectRestore(this.handle));
  }

  /** Makes `tree` the live state in one step, then brings the kernel's caches in line. */
  async restore(tree: Tree): Promise<RestoreReport> {
    return (await this.#restore(tree)) as RestoreReport;
  }

  /** The same, unless something was changed since `changeCount`: then it does nothing. */
  restoreUnlessChanged(tree: Tree, changeCount: bigint): Promise<RestoreReport | undefined> {
    return this.#restore(tree, changeCount);
  }

  async #restore(tree: Tree, changeCount?: bigint): Promise<RestoreReport | undefined> {
    const restoring = guarded(() => native.restore(this.handle, tree.handle, changeCount));
    const report = await restoring.catch(rethrow);
    if (!report) return undefined;
    const { inodes, names, pauseNs } = report;
    return { filesChanged: inodes, namesChanged: names, pauseNs };
  }

  usage(): VfsUsage {
    return guarded(() => native.engineUsage(this.handle));
  }

  /** What came from the store since the engine was made. */
  fetched(): { blocks: number; bytes: number } {
    return guarded(() => native.needsFetched(this.handle));
  }

  /** Two equal values mean that nothing changed in between. */
  changeCount(): bigint {
    return guarded(() => native.engineChangeCount(this.handle));
  }

  /** What `.devdev/snapshots` lists. */
  setSnapshots(list: readonly SnapshotName[]): void {
    guarded(() => native.setSnapshots(this.handle, list.map(snapshotEntry)));
  }

  /** One more for that list. */
  addSnapshot(listed: SnapshotName): void {
    guarded(() => native.addSnapshot(this.handle, snapshotEntry(listed)));
  }

  /** Says that the store holds `tree`, frozen from this engine: its changes are no longer dirty. */
  markClean(tree: Tree): void {
    guarded(() => native.markClean(this.handle, tree.handle));
  }

  /** Lets the engine go; EBUSY while it is mounted. Attached objects only detach. */
  close(): void {
    if (this.#owner) guarded(() => native.engineClose(this.handle));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function snapshotEntry({ name, timeNs, tree }: SnapshotName): native.SnapshotEntry {
  return {
    name: Buffer.from(name as string),
    time: timeOfNs(timeNs),
    ...(tree && { tree: tree.handle }),
  };
}
