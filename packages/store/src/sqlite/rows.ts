// The statements over workspaces and snapshots, and how their rows become the store's.

import type { Database, Statement } from "better-sqlite3";

import type { BaseRow, SnapshotRow, WorkspaceRow } from "../store.js";

export interface WorkspaceColumns {
  id: string;
  name: string;
  mount_path: string | null;
  mounted: number;
  options: string;
  created: number;
  checkpoint_root: Buffer | null;
  checkpoint_at: number | null;
}

export interface SnapshotColumns {
  workspace: string;
  sequence: number;
  content_id: string;
  root: Buffer;
  name: string | null;
  message: string | null;
  automatic: number;
  created: number;
  bytes: number;
  inodes: number;
}

/** Columns are called as the fields are. */
export type BaseColumns = Omit<BaseRow, "root"> & { id: number; root: Buffer };

export function baseOf({ id: _id, ...row }: BaseColumns): BaseRow {
  return row;
}

export function workspaceOf(row: WorkspaceColumns): WorkspaceRow {
  const { mount_path: mountPath, checkpoint_root: root, checkpoint_at: at } = row;
  return {
    id: row.id,
    name: row.name,
    ...(mountPath === null ? {} : { mountPath }),
    ...(row.mounted === 0 ? {} : { mounted: true }),
    options: JSON.parse(row.options) as Record<string, unknown>,
    createdAt: row.created,
    ...(root === null || at === null ? {} : { checkpoint: { root, at } }),
  };
}

export function snapshotOf(row: SnapshotColumns): SnapshotRow {
  return {
    workspace: row.workspace,
    sequence: row.sequence,
    contentId: row.content_id,
    root: row.root,
    ...(row.name === null ? {} : { name: row.name }),
    ...(row.message === null ? {} : { message: row.message }),
    automatic: row.automatic !== 0,
    createdAt: row.created,
    bytes: row.bytes,
    inodes: row.inodes,
  };
}

export type Statements = Record<
  | "insertWorkspace"
  | "workspaces"
  | "workspace"
  | "workspaceByName"
  | "updateWorkspace"
  | "setCheckpoint"
  | "removeWorkspace"
  | "nextSequence"
  | "insertSnapshot"
  | "snapshots"
  | "removeSnapshot"
  | "replaceSnapshot"
  | "setBase"
  | "bases"
  | "removeMerges"
  | "removeMergesWith"
  | "roots"
  | "counter"
  | "setCounter",
  Statement
>;

export function statementsOf(db: Database): Statements {
  return {
    insertWorkspace: db.prepare(
      "INSERT INTO workspaces (id, name, mount_path, options, created) VALUES (?, ?, ?, ?, ?)",
    ),
    workspaces: db.prepare("SELECT * FROM workspaces ORDER BY rowid"),
    workspace: db.prepare("SELECT * FROM workspaces WHERE id = ?"),
    workspaceByName: db.prepare("SELECT * FROM workspaces WHERE name = ?"),
    updateWorkspace: db.prepare(
      "UPDATE workspaces SET name = ?, mount_path = ?, mounted = ?, options = ? WHERE id = ?",
    ),
    setCheckpoint: db.prepare(
      "UPDATE workspaces SET checkpoint_root = ?, checkpoint_at = ? WHERE id = ?",
    ),
    removeWorkspace: db.prepare("DELETE FROM workspaces WHERE id = ?"),
    nextSequence: db
      .prepare(
        "UPDATE workspaces SET last_sequence = last_sequence + 1 WHERE id = ? RETURNING last_sequence",
      )
      .pluck(),
    insertSnapshot: db.prepare(
      `INSERT INTO snapshots
         (workspace, sequence, content_id, root, name, message, automatic, created, bytes, inodes)
       VALUES (@workspace, @sequence, @contentId, @root, @name, @message, @automatic, @createdAt,
         @bytes, @inodes)`,
    ),
    snapshots: db.prepare("SELECT * FROM snapshots WHERE workspace = ? ORDER BY sequence"),
    removeSnapshot: db.prepare("DELETE FROM snapshots WHERE workspace = ? AND sequence = ?"),
    setBase: db.prepare(
      `INSERT INTO bases (workspace, other, name, kind, root, at)
       VALUES (@workspace, @other, @name, @kind, @root, @at)
       ON CONFLICT (workspace, other, kind)
       DO UPDATE SET name = excluded.name, root = excluded.root, at = excluded.at`,
    ),
    bases: db.prepare("SELECT * FROM bases WHERE workspace = ? ORDER BY kind, id"),
    removeMerges: db.prepare(
      "DELETE FROM bases WHERE ? IN (workspace, other) AND kind = 'merge' AND at > ?",
    ),
    removeMergesWith: db.prepare("DELETE FROM bases WHERE other = ? AND kind = 'merge'"),
    replaceSnapshot: db.prepare(
      `UPDATE snapshots SET content_id = ?, root = ?, bytes = ?, inodes = ?
       WHERE workspace = ? AND sequence = ?`,
    ),
    roots: db
      .prepare(
        `SELECT checkpoint_root FROM workspaces WHERE checkpoint_root IS NOT NULL
         UNION SELECT root FROM snapshots UNION SELECT root FROM bases`,
      )
      .pluck(),
    counter: db.prepare("SELECT value FROM counters WHERE name = ?").pluck(),
    setCounter: db.prepare(
      "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    ),
  };
}
