// Keeps snapshots as frozen trees in memory: for workspaces that end with the process.

import { DevdevError } from "@devdev/errno";
import type { SnapshotInfo } from "@devdev/protocol";
import { Tree } from "@devdev/vfs";

import type { Keeper, NewSnapshotInfo, SnapshotOwner } from "./keeper.js";

interface Kept {
  info: SnapshotInfo;
  tree: Tree;
}

export class MemoryKeeper implements Keeper {
  readonly durable = false;
  owner: SnapshotOwner | undefined;
  readonly #kept: Kept[] = [];
  #last = 0;

  async snapshots(): Promise<SnapshotInfo[]> {
    return this.#kept.map(({ info }) => ({ ...info }));
  }

  async addSnapshot(tree: Tree, info: NewSnapshotInfo): Promise<SnapshotInfo> {
    if (info.name !== undefined && this.#kept.some((kept) => kept.info.name === info.name)) {
      throw new DevdevError("EEXIST", `there is a snapshot called ${info.name} already`);
    }
    const numbered = { ...info, sequence: ++this.#last };
    this.#kept.push({ info: numbered, tree: Tree.attach(tree.handle) });
    this.owner?.added();
    return { ...numbered };
  }

  async removeSnapshot(sequence: number): Promise<void> {
    const at = this.#kept.findIndex(({ info }) => info.sequence === sequence);
    if (at >= 0) this.#kept.splice(at, 1)[0]?.tree.dispose();
  }

  async removeSnapshots(sequences: readonly number[]): Promise<void> {
    for (const each of sequences) await this.removeSnapshot(each);
  }

  async checkpoint(): Promise<void> {
    // There is nothing to come back to.
  }

  hurry(): void {
    // Nothing is under way.
  }

  async tree(sequence: number): Promise<Tree> {
    const found = this.treeAtHand(sequence);
    if (!found) throw new DevdevError("ERR_NO_SNAPSHOT", `there is no snapshot #${sequence}`);
    return Tree.attach(found.handle);
  }

  treeAtHand(sequence: number): Tree | undefined {
    return this.#kept.find(({ info }) => info.sequence === sequence)?.tree;
  }

  async rebase(): Promise<() => Promise<void>> {
    return async () => undefined;
  }

  async close(): Promise<void> {
    for (const { tree } of this.#kept) tree.dispose();
    this.#kept.length = 0;
  }
}
