// Workspaces, snapshots and counters as maps, over pages that somebody else keeps: the rows of the
// memory store, and of the one over a directory, which writes them to a file.

import { StoreError } from "../errors.js";
import type {
  BaseRow,
  Checkpoint,
  MetadataStore,
  NewSnapshot,
  NewWorkspace,
  Page,
  PageStore,
  Scan,
  SnapshotRow,
  SnapshotTree,
  StoredObject,
  WorkspaceChange,
  WorkspaceRow,
} from "../store.js";
import { type HistoryRows, MemoryEvents } from "./events.js";
import { type Journal, JournalMap } from "./objects.js";

export type WorkspaceEntry = WorkspaceRow & { lastSequence: number };

/** All rows, as they are written to a file and read again. */
export interface Rows {
  workspaces: WorkspaceEntry[];
  snapshots: SnapshotRow[];
  bases: BaseRow[];
  counters: Array<[name: string, value: number]>;
  history: HistoryRows;
}

export class RowMetadata implements MetadataStore {
  readonly history: MemoryEvents;
  readonly #journal: Journal;
  readonly #pages: PageStore;
  readonly #workspaces: JournalMap<string, WorkspaceEntry>;
  readonly #snapshots: JournalMap<string, SnapshotRow>;
  readonly #bases: JournalMap<string, BaseRow>;
  readonly #counters: JournalMap<string, number>;

  constructor(journal: Journal, pages: PageStore, rows?: Rows) {
    this.#journal = journal;
    this.#pages = pages;
    this.history = new MemoryEvents(journal, (id) => this.#existing(id), rows?.history);
    this.#workspaces = new JournalMap(journal);
    this.#snapshots = new JournalMap(journal);
    this.#bases = new JournalMap(journal);
    this.#counters = new JournalMap(journal);
    for (const row of rows?.workspaces ?? []) this.#workspaces.map.set(row.id, row);
    for (const row of rows?.snapshots ?? []) this.#snapshots.map.set(keyOf(row), row);
    for (const row of rows?.bases ?? []) this.#bases.map.set(baseKeyOf(row), row);
    for (const [name, value] of rows?.counters ?? []) this.#counters.map.set(name, value);
  }

  rows(): Rows {
    return {
      workspaces: [...this.#workspaces.map.values()],
      snapshots: [...this.#snapshots.map.values()],
      bases: [...this.#bases.map.values()],
      counters: [...this.#counters.map],
      history: this.history.rows(),
    };
  }

  missingPages(ids: Uint8Array): Uint8Array {
    return this.#pages.missingPages(ids);
  }

  putPages(pages: Iterable<Page>): number {
    return this.#pages.putPages(pages);
  }

  page(id: Uint8Array): StoredObject | undefined {
    return this.#pages.page(id);
  }

  deletePages(ids: Iterable<Uint8Array>): number {
    return this.#pages.deletePages(ids);
  }

  scanPages(from: number, limit: number): Scan {
    return this.#pages.scanPages(from, limit);
  }

  createWorkspace(row: NewWorkspace): void {
    if (this.#workspaces.map.has(row.id)) {
      throw new StoreError("ERR_STORE_EXISTS", `workspace ${row.id} is there already`);
    }
    this.#refuseTaken(row.name, row.id);
    this.#workspaces.set(row.id, { ...structuredClone(row), lastSequence: 0 });
  }

  workspaces(): WorkspaceRow[] {
    return [...this.#workspaces.map.values()].map(withoutCounter);
  }

  workspace(id: string): WorkspaceRow | undefined {
    const row = this.#workspaces.map.get(id);
    return row && withoutCounter(row);
  }

  workspaceByName(name: string): WorkspaceRow | undefined {
    return this.workspaces().find((row) => row.name === name);
  }

  updateWorkspace(id: string, change: WorkspaceChange): void {
    const { mountPath, mounted, ...row } = this.#existing(id);
    if (change.name !== undefined) this.#refuseTaken(change.name, id);
    const path = change.mountPath === undefined ? mountPath : (change.mountPath ?? undefined);
    this.#workspaces.set(id, {
      ...row,
      name: change.name ?? row.name,
      options: structuredClone(change.options ?? row.options),
      ...(path === undefined ? {} : { mountPath: path }),
      ...((change.mounted ?? mounted) ? { mounted: true } : {}),
    });
  }

  setCheckpoint(id: string, checkpoint: Checkpoint): void {
    const kept = { root: new Uint8Array(checkpoint.root), at: checkpoint.at };
    this.#workspaces.set(id, { ...this.#existing(id), checkpoint: kept });
  }

  removeWorkspace(id: string): boolean {
    return this.#journal.run(() => {
      for (const row of this.snapshots(id)) this.removeSnapshot(id, row.sequence);
      this.history.forget(id);
      for (const [key, { workspace, other, kind }] of this.#bases.map) {
        if (workspace === id || (other === id && kind === "merge")) this.#bases.delete(key);
      }
      return this.#workspaces.delete(id);
    });
  }

  addSnapshot(row: NewSnapshot): SnapshotRow {
    const workspace = this.#existing(row.workspace);
    const taken = this.snapshots(row.workspace).some((other) => other.name === row.name);
    if (row.name !== undefined && taken) {
      throw new StoreError("ERR_STORE_EXISTS", `there is a snapshot called ${row.name} already`);
    }
    const sequence = workspace.lastSequence + 1;
    const added = { ...row, sequence, root: new Uint8Array(row.root) };
    this.#journal.run(() => {
      this.#workspaces.set(row.workspace, { ...workspace, lastSequence: sequence });
      this.#snapshots.set(keyOf(added), added);
    });
    return { ...added };
  }

  snapshots(workspace: string): SnapshotRow[] {
    return [...this.#snapshots.map.values()]
      .filter((row) => row.workspace === workspace)
      .toSorted((a, b) => a.sequence - b.sequence)
      .map((row) => ({ ...row }));
  }

  removeSnapshot(workspace: string, sequence: number): boolean {
    return this.#snapshots.delete(keyOf({ workspace, sequence }));
  }

  removeSnapshots(workspace: string, sequences: Iterable<number>): number {
    return this.#journal.run(
      () => [...sequences].filter((each) => this.removeSnapshot(workspace, each)).length,
    );
  }

  replaceSnapshot(workspace: string, sequence: number, tree: SnapshotTree): void {
    const key = keyOf({ workspace, sequence });
    const row = this.#snapshots.map.get(key);
    if (!row) {
      const message = `workspace ${workspace} has no snapshot #${sequence}`;
      throw new StoreError("ERR_STORE_NOT_FOUND", message);
    }
    this.#snapshots.set(key, { ...row, ...tree, root: new Uint8Array(tree.root) });
  }

  setBase(row: BaseRow): void {
    this.#existing(row.workspace);
    this.#bases.set(baseKeyOf(row), { ...row, root: new Uint8Array(row.root) });
  }

  bases(workspace: string): BaseRow[] {
    const all = [...this.#bases.map.values()].filter((row) => row.workspace === workspace);
    const ofKind = (kind: BaseRow["kind"]): BaseRow[] => all.filter((row) => row.kind === kind);
    return [...ofKind("fork"), ...ofKind("merge")];
  }

  removeMerges(workspace: string, after: number): void {
    this.#journal.run(() => {
      for (const [key, row] of this.#bases.map) {
        const isOf = row.workspace === workspace || row.other === workspace;
        if (isOf && row.at > after && row.kind === "merge") this.#bases.delete(key);
      }
    });
  }

  roots(): Uint8Array[] {
    const checkpoints = this.workspaces().flatMap((row) => row.checkpoint?.root ?? []);
    const others = [...this.#snapshots.map.values(), ...this.#bases.map.values()];
    return [...checkpoints, ...others.map((row) => row.root)];
  }

  counter(name: string): number {
    return this.#counters.map.get(name) ?? 0;
  }

  setCounter(name: string, value: number): void {
    this.#counters.set(name, value);
  }

  #existing(id: string): WorkspaceEntry {
    const row = this.#workspaces.map.get(id);
    if (!row) throw new StoreError("ERR_STORE_NOT_FOUND", `there is no workspace ${id}`);
    return row;
  }

  #refuseTaken(name: string, id: string): void {
    const other = this.workspaceByName(name);
    if (other && other.id !== id) {
      throw new StoreError("ERR_STORE_EXISTS", `there is a workspace called ${name} already`);
    }
  }
}

function keyOf({ workspace, sequence }: { workspace: string; sequence: number }): string {
  return `${workspace}/${sequence}`;
}

function baseKeyOf({ kind, workspace, other }: BaseRow): string {
  return `${kind}/${workspace}/${other}`;
}

function withoutCounter(row: WorkspaceEntry): WorkspaceRow {
  const { lastSequence: _, ...rest } = row;
  return rest;
}
