// The states of one workspace in time: taking snapshots, comparing two, exporting one. One at a
// time, and never together with a checkpoint. Going back to one is travel.ts.

import { argumentError, DevdevError } from "@devdev/errno";
import type { DiffOptions, SnapshotInfo, SnapshotOptions } from "@devdev/protocol";
import type { SnapshotName, StreamMeta, Tree, Vfs } from "@devdev/vfs";

import type { Checkpointer } from "./checkpointer.js";
import type { Commands } from "./commands.js";
import { Comparison } from "./comparison.js";
import { beginning } from "./forking.js";
import type { AddOptions, Keeper } from "./keeper.js";
import { flush, freeze, load, written } from "./live-state.js";
import type { Mutex } from "./mutex.js";
import { metaOf } from "./parts.js";
import { checkSnapshotName, findSnapshot, listedName } from "./snapshot-names.js";
import type { SnapshotEvent } from "./store-service/interface.js";

const EMPTY_INODES = 2; // its root and `.devdev/home`

export interface TimelineParts {
  vfs: Vfs;
  keeper: Keeper;
  mutex: Mutex;
  checkpointer: Checkpointer;
  commands: Commands;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** What a snapshot reports beside the snapshot itself. */
export type Taken = SnapshotInfo & { durationMs: number; pauseMs: number; filesChanged: number };

export class Timeline {
  readonly #parts: TimelineParts;

  constructor(parts: TimelineParts) {
    this.#parts = parts;
  }

  snapshots(): Promise<SnapshotInfo[]> {
    return this.#parts.keeper.snapshots();
  }

  /** Shows what there is below `.devdev/snapshots`. */
  async publish(): Promise<void> {
    const all = await this.snapshots();
    this.#parts.vfs.setSnapshots(all.map((each) => this.#listed(each)));
  }

  #listed(info: SnapshotInfo): SnapshotName {
    return {
      name: listedName(info),
      timeNs: BigInt(Math.round(info.createdAt)) * 1_000_000n,
      tree: this.#parts.keeper.treeAtHand(info.sequence),
    };
  }

  snapshot(options: SnapshotOptions): Promise<Taken> {
    const started = performance.now();
    const { name, message } = options;
    if (name !== undefined) checkSnapshotName(name);
    return this.alone(async () => {
      const all = await this.snapshots();
      if (name !== undefined && all.some((each) => each.name === name)) {
        throw new DevdevError("EEXIST", `there is a snapshot called ${name} already`);
      }
      const [tree, changeCount] = await freeze(this.#parts.vfs);
      using _ = tree;
      const said = {
        ...(name !== undefined && { name }),
        ...(message !== undefined && { message }),
      };
      // Read while the store commits.
      const changed = this.#changedSince(all.at(-1), await tree.contentId(), tree);
      changed.catch(() => undefined);
      const event = await this.eventOf("snapshot", said, this.#parts.now());
      const info = await this.keep(tree, changeCount, { automatic: false, ...said }, { event });
      const filesChanged = await changed;
      const durationMs = performance.now() - started;
      return { ...info, durationMs, pauseMs: tree.pauseNs / 1e6, filesChanged };
    });
  }

  /**
   * `a` defaults to the newest snapshot (without one: what it was forked from), `b` to now;
   * with a host directory that is the one side, and `a` (default: the live state) the other.
   */
  async compared(
    a: string | undefined,
    b: string | undefined,
    options: DiffOptions,
  ): Promise<Comparison> {
    const all = await this.snapshots();
    const { keeper } = this.#parts;
    if (options.host !== undefined) {
      refuseSecond(b);
      return Comparison.withHost(options.host, await this.state(a), options);
    }
    const from = a === undefined ? all.at(-1) : findSnapshot(all, a);
    const after = await this.state(b);
    try {
      const before = from
        ? await keeper.tree(from.sequence, after)
        : await beginning(keeper, after);
      return Comparison.of(before, after, options);
    } catch (error) {
      after.dispose();
      throw error;
    }
  }

  /** The tree of a snapshot (default: the live state); the caller disposes of it. */
  async state(ref: string | number | undefined): Promise<Tree> {
    if (ref === undefined) return written(this.#parts.vfs);
    return this.load(findSnapshot(await this.snapshots(), ref));
  }

  /** A snapshot (default: the live state) to be exported; the caller disposes of the tree. */
  async exported(
    ref: string | number | undefined,
  ): Promise<{ tree: Tree; id: string; meta: StreamMeta }> {
    const all = await this.snapshots();
    if (ref !== undefined) return this.#exportedAs(findSnapshot(all, ref));
    const [tree] = await freeze(this.#parts.vfs);
    const id = await tree.contentId();
    // What was imported or restored, and not changed since, is still that snapshot.
    const equal = all.filter((each) => each.id === id);
    const same = equal.findLast(({ automatic }) => !automatic) ?? equal.at(-1);
    if (same === undefined) return { tree, id, meta: metaOf({ createdAt: this.#parts.now() }) };
    tree.dispose();
    return this.#exportedAs(same);
  }

  async #exportedAs(snapshot: SnapshotInfo): Promise<{ tree: Tree; id: string; meta: StreamMeta }> {
    return { tree: await this.load(snapshot), id: snapshot.id, meta: metaOf(snapshot) };
  }

  /** Makes everything done so far durable. */
  checkpoint(): Promise<void> {
    return this.alone(async () => {
      await flush(this.#parts.vfs);
      await this.#parts.checkpointer.run(false);
    });
  }

  /** One at a time; what runs in the background ends first, as fast as it can. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    this.#parts.keeper.hurry();
    return this.#parts.mutex.run(work);
  }

  /** The tree of a snapshot; the caller disposes of it. */
  load(snapshot: SnapshotInfo): Promise<Tree> {
    return load(this.#parts.vfs, this.#parts.keeper, snapshot);
  }

  /** What an event says that follows the last one; who keeps it adds the state. */
  async eventOf(kind: string, detail: Record<string, unknown>, at: number): Promise<SnapshotEvent> {
    const parent = (await this.#parts.keeper.history.all()).at(-1)?.number;
    return { kind, at, detail, ...(parent !== undefined && { parent }) };
  }

  /** Keeps a tree, frozen at that change count, as a snapshot. The caller has the mutex. */
  async keep(
    tree: Tree,
    changeCount: bigint | undefined,
    described: { name?: string; message?: string; automatic: boolean; createdAt?: number },
    more: AddOptions = {},
  ): Promise<SnapshotInfo> {
    const { keeper, checkpointer, now } = this.#parts;
    const id = await tree.contentId();
    const { bytes, inodes } = tree;
    const taken = { id, createdAt: now(), ...described, bytes, inodes };
    const info = await keeper.addSnapshot(tree, taken, more);
    if (changeCount !== undefined) checkpointer.noteKept(changeCount);
    this.#parts.vfs.addSnapshot(this.#listed(info));
    return info;
  }

  async #changedSince(previous: SnapshotInfo | undefined, id: string, tree: Tree): Promise<number> {
    if (!previous) return Math.max(0, tree.inodes - EMPTY_INODES);
    if (previous.id === id) return 0;
    using before = await this.#parts.keeper.tree(previous.sequence, tree);
    return before.countChanges(tree);
  }
}

function refuseSecond(b: string | undefined): void {
  if (b === undefined) return;
  const message = "a host directory is compared with one state, not with two";
  throw argumentError("TypeError", "ERR_INVALID_ARG_VALUE", message);
}
