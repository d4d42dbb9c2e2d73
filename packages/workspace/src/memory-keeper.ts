// Keeps snapshots as frozen trees in memory: for workspaces that end with the process.

import { DevdevError } from "@devdev/errno";
import type { SnapshotInfo } from "@devdev/protocol";
import { serveNeeds, Tree } from "@devdev/vfs";
import type { NeedsServer, Vfs } from "@devdev/vfs";

import type { Keeper, NewSnapshotInfo } from "./keeper.js";
import { listedName } from "./snapshot-names.js";

interface Kept {
  info: SnapshotInfo;
  tree: Tree;
}

export class MemoryKeeper implements Keeper {
  readonly durable = false;
  readonly #kept: Kept[] = [];
  readonly #server: NeedsServer;
  #last = 0;

  constructor(vfs: Vfs) {
    // Look-ups below .devdev/snapshots; blocks are all in memory.
    this.#server = serveNeeds(vfs.handle, (needs, server) => {
      for (const need of needs) {
        const found =
          need.kind === "snapshot" &&
          this.#kept.find(({ info }) => need.name.equals(Buffer.from(listedName(info))));
        if (found && need.kind === "snapshot") server.supplySnapshot(need.name, found.tree);
        else server.fail(need, "ENOENT");
      }
    });
  }

  async snapshots(): Promise<SnapshotInfo[]> {
    return this.#kept.map(({ info }) => ({ ...info }));
  }

  async addSnapshot(tree: Tree, info: NewSnapshotInfo): Promise<SnapshotInfo> {
    if (info.name !== undefined && this.#kept.some((kept) => kept.info.name === info.name)) {
      throw new DevdevError("EEXIST", `there is a snapshot called ${info.name} already`);
    }
    const numbered = { ...info, sequence: ++this.#last };
    this.#kept.push({ info: numbered, tree: Tree.attach(tree.handle) });
    return { ...numbered };
  }

  async removeSnapshot(sequence: number): Promise<void> {
    const at = this.#kept.findIndex(({ info }) => info.sequence === sequence);
    if (at >= 0) this.#kept.splice(at, 1)[0]?.tree.dispose();
  }

  async checkpoint(): Promise<void> {
    // There is nothing to come back to.
  }

  hurry(): void {
    // Nothing is under way.
  }

  async tree(sequence: number): Promise<Tree> {
    const found = this.#kept.find(({ info }) => info.sequence === sequence);
    if (!found) throw new DevdevError("ERR_NO_SNAPSHOT", `there is no snapshot #${sequence}`);
    return Tree.attach(found.tree.handle);
  }

  async rebase(): Promise<() => Promise<void>> {
    return async () => undefined;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const { tree } of this.#kept) tree.dispose();
    this.#kept.length = 0;
  }
}
