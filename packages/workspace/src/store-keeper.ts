// Keeps the states of one workspace in a store.

import { DevdevError } from "@devdev/errno";
import type { SnapshotInfo } from "@devdev/protocol";
import type { SnapshotRow } from "@devdev/store";
import type { Tree, Vfs } from "@devdev/vfs";

import { EventLog } from "./event-log.js";
import { named } from "./damage.js";
import type { AddOptions, Base, Keeper, NewSnapshotInfo, SnapshotOwner } from "./keeper.js";
import { listedName } from "./snapshot-names.js";
import type { PersistRequest } from "./store-service/interface.js";
import type { StoreService } from "./store-service/store-service.js";

export class StoreKeeper implements Keeper {
  readonly durable = true;
  #owner: SnapshotOwner | undefined;
  readonly history: EventLog;
  readonly #store: StoreService;
  readonly #workspace: string;
  readonly #vfs: Vfs;
  /** How many trees are on their way into the store. */
  #underway = 0;

  private constructor(store: StoreService, workspace: string, vfs: Vfs) {
    this.#store = store;
    this.#workspace = workspace;
    this.#vfs = vfs;
    this.history = new EventLog(store.history(workspace));
  }

  /** From now on the store also answers what the engine needs. */
  static async open(store: StoreService, workspace: string, vfs: Vfs): Promise<StoreKeeper> {
    await store.serve(vfs.handle, workspace);
    return new StoreKeeper(store, workspace, vfs);
  }

  get owner(): SnapshotOwner | undefined {
    return this.#owner;
  }

  /** The store asks it, too, when it is full. */
  set owner(owner: SnapshotOwner | undefined) {
    this.#owner = owner;
    if (owner) this.#store.owners.set(this.#workspace, owner);
    else this.#store.owners.delete(this.#workspace);
  }

  onDamage(listener: (what: string) => void): void {
    this.#store.onDamage.set(this.#workspace, listener);
  }

  async snapshots(): Promise<SnapshotInfo[]> {
    return (await this.#store.snapshots(this.#workspace)).map(infoOf);
  }

  async addSnapshot(
    tree: Tree,
    info: NewSnapshotInfo,
    { event, made, comeBackTo }: AddOptions = {},
  ): Promise<SnapshotInfo> {
    const { id, ...rest } = info;
    const target = comeBackTo === undefined ? undefined : await this.#row(comeBackTo);
    const { snapshot, event: noted } = await this.#persist(tree, {
      at: info.createdAt,
      snapshot: { ...rest, contentId: id },
      ...(target && { checkpoint: target.root, mergesUntil: target.createdAt }),
      ...(event && { event }),
    });
    if (!snapshot) throw new Error("the store kept no snapshot row");
    if (noted) this.history.added(noted);
    if (!made) this.#vfs.markClean(tree);
    this.#owner?.added();
    return infoOf(snapshot);
  }

  async removeSnapshot(sequence: number): Promise<void> {
    await this.#store.removeSnapshot(this.#workspace, sequence);
  }

  async removeSnapshots(sequences: readonly number[]): Promise<void> {
    await this.#store.removeSnapshots(this.#workspace, sequences);
  }

  async checkpoint(tree: Tree, at: number, background: boolean): Promise<void> {
    await this.#persist(tree, { at, background });
    this.#vfs.markClean(tree);
  }

  async #persist(tree: Tree, request: Omit<PersistRequest, "tree" | "workspace">) {
    this.#underway += 1;
    try {
      return await this.#store.persist(tree, { ...request, workspace: this.#workspace });
    } finally {
      this.#underway -= 1;
    }
  }

  hurry(): void {
    if (this.#underway === 0) return;
    // Best effort: a store that has ended fails the checkpoint itself.
    this.#store.hurry(this.#workspace).catch(() => undefined);
  }

  async tree(sequence: number, reference?: Tree): Promise<Tree> {
    const row = await this.#row(sequence);
    const what = `snapshot ${listedName(row)} (${row.contentId.slice(0, 12)})`;
    const tree = await named(what, () => this.#store.load(row.root, reference));
    return tree.loadThrough(this.#vfs);
  }

  async rebase(sequence: number, at: number, nextIno: number): Promise<() => Promise<void>> {
    const before = (await this.#store.workspace(this.#workspace))?.checkpoint;
    const { root, createdAt } = await this.#row(sequence);
    const back = { mergesUntil: createdAt, nextIno };
    await this.#store.setCheckpoint(this.#workspace, { root, at }, back);
    // Merges that it forgot stay so: the next one begins at an older state, which it may.
    return async () => {
      if (before) await this.#store.setCheckpoint(this.#workspace, before);
    };
  }

  async bases(): Promise<Base[]> {
    const rows = await this.#store.bases(this.#workspace);
    return rows.map(({ root, workspace: _workspace, ...row }) => ({
      ...row,
      load: async (reference) => {
        const what = `the state in common with ${row.name}`;
        const tree = await named(what, () => this.#store.load(root, reference));
        return tree.loadThrough(this.#vfs);
      },
    }));
  }

  async noteMerge({ id }: { id: string }, _tree: Tree, at: number): Promise<void> {
    await this.#store.noteMerge(this.#workspace, id, at);
  }

  treeAtHand(): undefined {
    // A need of the engine, which the reader's thread answers.
  }

  async close(): Promise<void> {
    this.owner = undefined;
    this.#store.onDamage.delete(this.#workspace);
    await this.#store.leave(this.#vfs.handle);
  }

  async #row(sequence: number): Promise<SnapshotRow> {
    const rows = await this.#store.snapshots(this.#workspace);
    const row = rows.find((each) => each.sequence === sequence);
    if (!row) throw new DevdevError("ERR_NO_SNAPSHOT", `there is no snapshot #${sequence}`);
    return row;
  }
}

export function infoOf({
  contentId,
  root: _root,
  workspace: _workspace,
  ...rest
}: SnapshotRow): SnapshotInfo {
  return { id: contentId, ...rest };
}
