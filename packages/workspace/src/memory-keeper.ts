// Keeps snapshots as frozen trees in memory: for workspaces that end with the process.

import { DevdevError } from "@devdev/errno";
import { createMemoryStore } from "@devdev/store";
import type { SnapshotInfo } from "@devdev/protocol";
import { Tree } from "@devdev/vfs";

import { EventLog } from "./event-log.js";
import type { AddOptions, Base, Keeper, NewSnapshotInfo, SnapshotOwner } from "./keeper.js";
import type { PointInTime } from "./parts.js";

interface Kept {
  info: SnapshotInfo;
  tree: Tree;
}

/** What there is in common, as a tree of the keeper's own. */
export type Shared = Omit<Base, "load"> & { tree: Tree };

export class MemoryKeeper implements Keeper {
  readonly durable = false;
  owner: SnapshotOwner | undefined;
  readonly history: EventLog = inMemory();
  readonly #kept: Kept[] = [];
  readonly #bases: Shared[];
  #last = 0;

  /** Of a fork: what it has in common with others, whose trees it takes over. */
  constructor(bases: Shared[] = []) {
    this.#bases = bases;
  }

  onDamage(): void {
    // What is in memory is there.
  }

  async snapshots(): Promise<SnapshotInfo[]> {
    return this.#kept.map(({ info }) => ({ ...info }));
  }

  async addSnapshot(
    tree: Tree,
    info: NewSnapshotInfo,
    { event, comeBackTo }: AddOptions = {},
  ): Promise<SnapshotInfo> {
    if (info.name !== undefined && this.#kept.some((kept) => kept.info.name === info.name)) {
      throw new DevdevError("EEXIST", `there is a snapshot called ${info.name} already`);
    }
    const numbered = { ...info, sequence: ++this.#last };
    this.#kept.push({ info: numbered, tree: Tree.attach(tree.handle) });
    if (event) {
      const { ends, ...row } = event;
      await this.history.add({ ...row, snapshot: numbered.sequence, state: info.id }, ends);
    }
    this.owner?.added();
    const target = this.#kept.find((each) => each.info.sequence === comeBackTo);
    if (target) this.#forgetMerges(target.info.createdAt);
    return { ...numbered };
  }

  /** It goes back to what it was then, and has nothing of later merges. */
  #forgetMerges(until: number): void {
    for (const base of this.#bases.filter(({ kind, at }) => kind === "merge" && at > until)) {
      this.#bases.splice(this.#bases.indexOf(base), 1);
      base.tree.dispose();
    }
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

  async rebase(sequence: number): Promise<() => Promise<void>> {
    const target = this.#kept.find((each) => each.info.sequence === sequence);
    if (target) this.#forgetMerges(target.info.createdAt);
    return async () => undefined;
  }

  async bases(): Promise<Base[]> {
    const ofKind = (kind: Base["kind"]): Shared[] => this.#bases.filter((b) => b.kind === kind);
    return [...ofKind("fork"), ...ofKind("merge")].map(({ tree, ...base }) => ({
      ...base,
      load: async () => Tree.attach(tree.handle),
    }));
  }

  /** What a fork inherits, with trees of its own. */
  forked(point: PointInTime): Shared[] {
    const isOlder = (at: number): boolean => point.sequence === undefined || at <= point.at;
    const inherited = this.#bases.filter(({ kind, at }) => kind === "fork" || isOlder(at));
    return inherited.map((base) => ({ ...base, tree: Tree.attach(base.tree.handle) }));
  }

  async noteMerge(
    { id, name }: { id: string; name: string },
    tree: Tree,
    at: number,
  ): Promise<void> {
    const known = this.#bases.findIndex(({ other, kind }) => other === id && kind === "merge");
    if (known >= 0) this.#bases.splice(known, 1)[0]?.tree.dispose();
    this.#bases.push({ other: id, name, kind: "merge", at, tree: Tree.attach(tree.handle) });
  }

  async close(): Promise<void> {
    for (const { tree } of [...this.#kept, ...this.#bases]) tree.dispose();
    this.#kept.length = 0;
    this.#bases.length = 0;
  }
}

/** The history of one workspace, for as long as the process. */
function inMemory(): EventLog {
  const workspace = "this";
  const { metadata } = createMemoryStore();
  const { history } = metadata;
  metadata.createWorkspace({ id: workspace, name: workspace, options: {}, createdAt: 0 });
  return new EventLog({
    events: async () => history.events(workspace),
    effects: async (number) => history.effects(workspace, number),
    openTurns: async () => history.openTurns(workspace),
    addEvent: async (row, ends) => history.addEvent({ ...row, workspace }, ends),
    openTurn: async (detail) => history.openTurn(workspace, detail),
  });
}
