// Block store and metadata store over SQLite. Separate from the engine, which knows trees, and from
// the workspace, which knows when to keep what.

export { check } from "./check.js";
export type { CheckedStore, CheckOptions, CheckReport, Damage } from "./check.js";
export { Collector } from "./collect.js";
export type { CollectionResult } from "./collect.js";
export { openDirectoryStore } from "./directory/store.js";
export { StoreError } from "./errors.js";
export type { StoreErrorCode } from "./errors.js";
export type { EventRow, EventStore, NewEvent, OpenTurn } from "./events.js";
export { lockDirectory } from "./lock.js";
export { measure } from "./measure.js";
export type { Measured, MeasuredStore } from "./measure.js";
export { makeDirectory } from "./private-files.js";
export { IdSet } from "./id-set.js";
export { createMemoryStore } from "./memory/store.js";
export { copyLog, DATABASE_FILE } from "./sqlite/connection.js";
export type { LogPosition } from "./sqlite/log.js";
export { openSqliteReader, openSqliteStore } from "./sqlite/store.js";
export type { SqliteOptions, StoreReader } from "./sqlite/store.js";
export { rebuildDatabase } from "./sqlite/rebuild.js";
export type { Rebuilt } from "./sqlite/rebuild.js";
export { SCHEMA_VERSION } from "./sqlite/schema.js";
export { statistics } from "./statistics.js";
export type { ObjectTotals, StoreStatistics, WorkspaceBytes } from "./statistics.js";
export { checkRange, hexOf, ID_BYTES, idAt, isMissing } from "./store.js";
export type {
  BaseRow,
  Block,
  BlockStore,
  Checkpoint,
  MetadataStore,
  NewSnapshot,
  NewWorkspace,
  ObjectCodec,
  Page,
  PageStore,
  Scan,
  SnapshotRow,
  SnapshotTree,
  Store,
  StoredObject,
  TransactionOptions,
  WorkspaceChange,
  WorkspaceRow,
} from "./store.js";
