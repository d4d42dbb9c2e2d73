// Pages, workspaces, checkpoints and snapshots in SQLite.

import type { Database } from "better-sqlite3";

import { asStoreError, StoreError } from "../errors.js";
import type {
  BaseRow,
  Checkpoint,
  MetadataStore,
  NewSnapshot,
  NewWorkspace,
  Page,
  Scan,
  SnapshotRow,
  SnapshotTree,
  StoredObject,
  WorkspaceChange,
  WorkspaceRow,
} from "../store.js";
import { SqliteEvents } from "./events.js";
import { reading, unknownWorkspace, writing } from "./failures.js";
import { SqliteObjects } from "./objects.js";
import { baseOf, snapshotOf, statementsOf, workspaceOf } from "./rows.js";
import type { BaseColumns, SnapshotColumns, Statements, WorkspaceColumns } from "./rows.js";

export class SqliteMetadata implements MetadataStore {
  readonly history: SqliteEvents;
  readonly #pages: SqliteObjects;
  readonly #sql: Statements;
  readonly #together: <T>(work: () => T) => T;

  constructor(db: Database, together: <T>(work: () => T) => T) {
    this.history = new SqliteEvents(db, together);
    this.#pages = new SqliteObjects(db, "pages", together);
    this.#sql = statementsOf(db);
    this.#together = together;
  }

  missingPages(ids: Uint8Array): Uint8Array {
    return this.#pages.missing(ids);
  }

  putPages(pages: Iterable<Page>): number {
    return this.#pages.put(pages);
  }

  page(id: Uint8Array): StoredObject | undefined {
    return this.#pages.get(id);
  }

  /** Those that are there, in any order. */
  pages(ids: readonly Uint8Array[]): Page[] {
    return this.#pages.getAll(ids);
  }

  deletePages(ids: Iterable<Uint8Array>): number {
    return this.#pages.delete(ids);
  }

  scanPages(from: number, limit: number): Scan {
    return this.#pages.scan(from, limit);
  }

  createWorkspace(row: NewWorkspace): void {
    named("workspace", row.name, () => {
      const options = JSON.stringify(row.options);
      this.#sql.insertWorkspace.run(row.id, row.name, row.mountPath, options, row.createdAt);
    });
  }

  workspaces(): WorkspaceRow[] {
    return (reading(() => this.#sql.workspaces.all()) as WorkspaceColumns[]).map(workspaceOf);
  }

  workspace(id: string): WorkspaceRow | undefined {
    const row = reading(() => this.#sql.workspace.get(id)) as WorkspaceColumns | undefined;
    return row && workspaceOf(row);
  }

  workspaceByName(name: string): WorkspaceRow | undefined {
    const row = reading(() => this.#sql.workspaceByName.get(name)) as WorkspaceColumns | undefined;
    return row && workspaceOf(row);
  }

  updateWorkspace(id: string, change: WorkspaceChange): void {
    this.#together(() => {
      const row = this.#existing(id);
      const path = change.mountPath === undefined ? row.mountPath : (change.mountPath ?? undefined);
      const mounted = (change.mounted ?? row.mounted ?? false) ? 1 : 0;
      const options = JSON.stringify(change.options ?? row.options);
      const name = change.name ?? row.name;
      const values = [name, path, mounted, options, id];
      named("workspace", name, () => this.#sql.updateWorkspace.run(...values));
    });
  }

  setCheckpoint(id: string, { root, at }: Checkpoint): void {
    const { changes } = writing(() => this.#sql.setCheckpoint.run(root, at, id));
    if (changes === 0) throw unknownWorkspace(id);
  }

  removeWorkspace(id: string): boolean {
    return this.#together(() => {
      writing(() => this.#sql.removeMergesWith.run(id));
      return writing(() => this.#sql.removeWorkspace.run(id)).changes > 0;
    });
  }

  addSnapshot(row: NewSnapshot): SnapshotRow {
    return this.#together(() => {
      const sequence = writing(() => this.#sql.nextSequence.get(row.workspace)) as
        | number
        | undefined;
      if (sequence === undefined) throw unknownWorkspace(row.workspace);
      named("snapshot", row.name, () =>
        this.#sql.insertSnapshot.run({
          name: null,
          message: null,
          ...row,
          sequence,
          automatic: row.automatic ? 1 : 0,
        }),
      );
      return { ...row, sequence };
    });
  }

  snapshots(workspace: string): SnapshotRow[] {
    const rows = reading(() => this.#sql.snapshots.all(workspace)) as SnapshotColumns[];
    return rows.map(snapshotOf);
  }

  removeSnapshot(workspace: string, sequence: number): boolean {
    return writing(() => this.#sql.removeSnapshot.run(workspace, sequence)).changes > 0;
  }

  setBase(row: BaseRow): void {
    this.#together(() => {
      this.#existing(row.workspace);
      writing(() => this.#sql.setBase.run(row));
    });
  }

  bases(workspace: string): BaseRow[] {
    return (reading(() => this.#sql.bases.all(workspace)) as BaseColumns[]).map(baseOf);
  }

  removeMerges(workspace: string, after: number): void {
    writing(() => this.#sql.removeMerges.run(workspace, after));
  }

  removeSnapshots(workspace: string, sequences: Iterable<number>): number {
    return this.#together(() => {
      let removed = 0;
      for (const each of sequences) if (this.removeSnapshot(workspace, each)) removed += 1;
      return removed;
    });
  }

  replaceSnapshot(workspace: string, sequence: number, tree: SnapshotTree): void {
    const { contentId, root, bytes, inodes } = tree;
    const values = [contentId, root, bytes, inodes, workspace, sequence];
    const { changes } = writing(() => this.#sql.replaceSnapshot.run(...values));
    if (changes === 0) throw unknownSnapshot(workspace, sequence);
  }

  roots(): Uint8Array[] {
    return reading(() => this.#sql.roots.all()) as Buffer[];
  }

  counter(name: string): number {
    return (reading(() => this.#sql.counter.get(name)) as number | undefined) ?? 0;
  }

  setCounter(name: string, value: number): void {
    writing(() => this.#sql.setCounter.run(name, value));
  }

  #existing(id: string): WorkspaceRow {
    const row = this.workspace(id);
    if (!row) throw unknownWorkspace(id);
    return row;
  }
}

function unknownSnapshot(workspace: string, sequence: number): StoreError {
  const message = `workspace ${workspace} has no snapshot #${sequence}`;
  return new StoreError("ERR_STORE_NOT_FOUND", message);
}

/** Runs a statement whose only constraint that callers can hit is the uniqueness of a name. */
function named(what: string, name: string | undefined, work: () => void): void {
  try {
    work();
  } catch (error) {
    const failure = asStoreError(error, "writing the store");
    if (failure instanceof StoreError && failure.code === "ERR_STORE_EXISTS") {
      const message = `there is a ${what} called ${name} already`;
      throw new StoreError(failure.code, message, error);
    }
    throw failure;
  }
}
