// A store in memory: for ephemeral use and as the plain statement of what a store does. It runs the
// same conformance suites as the one over SQLite.

import { StoreError } from "../errors.js";
import { MemoryEvents } from "./events.js";
import { Journal, JournalMap, Objects } from "./objects.js";
import type {
  BaseRow,
  Block,
  BlockStore,
  Checkpoint,
  MetadataStore,
  NewSnapshot,
  NewWorkspace,
  Page,
  Scan,
  SnapshotRow,
  Store,
  StoredObject,
  WorkspaceChange,
  WorkspaceRow,
} from "../store.js";

class MemoryBlocks implements BlockStore {
  readonly #objects: Objects;
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
    this.#objects = new Objects(journal);
  }

  missing(ids: Uint8Array): Uint8Array {
    return this.#objects.missing(ids);
  }

  put(blocks: Iterable<Block>): number {
    return this.#journal.run(() => this.#objects.put(blocks));
  }

  get(id: Uint8Array): StoredObject | undefined {
    return this.#objects.get(id);
  }

  delete(ids: Iterable<Uint8Array>): number {
    return this.#objects.delete(ids);
  }

  scan(from: number, limit: number): Scan {
    return this.#objects.scan(from, limit);
  }
}

class MemoryMetadata implements MetadataStore {
  readonly history: MemoryEvents;
  readonly #journal: Journal;
  readonly #pages: Objects;
  readonly #workspaces: JournalMap<string, WorkspaceRow & { lastSequence: number }>;
  readonly #snapshots: JournalMap<string, SnapshotRow>;
  readonly #bases: JournalMap<string, BaseRow>;
  readonly #counters: JournalMap<string, number>;

  constructor(journal: Journal) {
    this.#journal = journal;
    this.history = new MemoryEvents(journal, (id) => this.#existing(id));
    this.#pages = new Objects(journal);
    this.#workspaces = new JournalMap(journal);
    this.#snapshots = new JournalMap(journal);
    this.#bases = new JournalMap(journal);
    this.#counters = new JournalMap(journal);
  }

  missingPages(ids: Uint8Array): Uint8Array {
    return this.#pages.missing(ids);
  }

  putPages(pages: Iterable<Page>): number {
    return this.#journal.run(() => this.#pages.put(pages));
  }

  page(id: Uint8Array): StoredObject | undefined {
    return this.#pages.get(id);
  }

  deletePages(ids: Iterable<Uint8Array>): number {
    return this.#pages.delete(ids);
  }

  scanPages(from: number, limit: number): Scan {
    return this.#pages.scan(from, limit);
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
      this.#snapshots.set(`${row.workspace}/${sequence}`, added);
    });
    return { ...added };
  }

  snapshots(workspace: string): SnapshotRow[] {
    return [...this.#snapshots.map.values()]
      .filter((row) => row.workspace === workspace)
      .toSorted((a, b) => a.sequence - b.sequence);
  }

  removeSnapshot(workspace: string, sequence: number): boolean {
    return this.#snapshots.delete(`${workspace}/${sequence}`);
  }

  setBase(row: BaseRow): void {
    this.#existing(row.workspace);
    const key = `${row.kind}/${row.workspace}/${row.other}`;
    this.#bases.set(key, { ...row, root: new Uint8Array(row.root) });
  }

  bases(workspace: string): BaseRow[] {
    const all = [...this.#bases.map.values()].filter((row) => row.workspace === workspace);
    const ofKind = (kind: BaseRow["kind"]): BaseRow[] => all.filter((row) => row.kind === kind);
    return [...ofKind("fork"), ...ofKind("merge")];
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

  #existing(id: string): WorkspaceRow & { lastSequence: number } {
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

function withoutCounter(row: WorkspaceRow & { lastSequence: number }): WorkspaceRow {
  const { lastSequence: _, ...rest } = row;
  return rest;
}

/** A store that ends with the process. */
export function createMemoryStore(): Store {
  const journal = new Journal();
  return {
    blocks: new MemoryBlocks(journal),
    metadata: new MemoryMetadata(journal),
    transaction: (run) => journal.run(run),
    verify: () => [],
    maintain: () => false,
    close: () => undefined,
  };
}
