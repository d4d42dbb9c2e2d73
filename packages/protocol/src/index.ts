// The Workspace interface, and the messages, schemas and framing between daemon and clients.
// Separate because the in-process library and the client implement the same interface.

export { gitPath, onOneLine, pathBytes, pathOf } from "./byte-path.js";
export { collectOutput, gatherOutput } from "./collect-output.js";
export {
  type Data,
  type EncodingOption,
  FS_OPERATIONS,
  type FsOperations,
  type PathArgument,
  type ReaddirOptions,
  type ReadOptions,
  type TimeArgument,
  type WorkspaceFileHandle,
  type WorkspaceFs,
  type WriteOptions,
} from "./workspace-fs.js";
export type {
  EffectTotals,
  EventKind,
  HistoryEvent,
  LogOptions,
  RecordedTurn,
  ShowOptions,
  ShownEvent,
  TravelOptions,
  TravelResult,
  Turn,
  UndoOptions,
} from "./history.js";
export type {
  ExecOptions,
  ExecProcess,
  ExecRecord,
  ExecResult,
  ExecWord,
  ExitStatus,
} from "./workspace-exec.js";
export {
  type LatencyBucket,
  quantile,
  type RequestCounts,
  type RequestStats,
  requestStats,
  statsBetween,
  type WorkspaceStats,
} from "./stats.js";
export type {
  ConflictKind,
  ConflictResolution,
  ForkOptions,
  MergeConflict,
  MergeOptions,
  MergeResult,
} from "./workspace-branch.js";
export type {
  Autosnapshot,
  HostMountOptions,
  MountTransport,
  RestoreOptions,
  RestoreResult,
  Snapshot,
  SnapshotInfo,
  SnapshotOptions,
  SnapshotResult,
  StatsOptions,
  Workspace,
  WorkspaceOptions,
  WorkspaceSettings,
  WorkspaceUsage,
} from "./workspace.js";
export type {
  Against,
  BytePath,
  ChangeKind,
  DiffEntry,
  DiffOptions,
  DiffResult,
  DiffStat,
  FileKind,
} from "./diff.js";
export {
  type DiffPiece,
  gatherDiff,
  gatherShown,
  type MergePiece,
  type ShownPiece,
} from "./diff-pieces.js";
export {
  decodeFileCall,
  encodeFileCall,
  type FileCall,
  FileCallAssembler,
  writeFileCall,
} from "./file-call.js";
export { DirectoryEntry, FileStats, KIND, portable, revived } from "./file-stats.js";
export {
  encodeFrame,
  encodeJsonFrame,
  type Frame,
  FrameDecoder,
  FrameType,
  INPUT_WINDOW,
  jsonPayload,
  MAX_FRAME,
  RPC_PREAMBLE,
  STREAM_PREAMBLE,
  writeFrame,
} from "./frame.js";
export { framesOf } from "./frame-source.js";
export { type Open, openSchema } from "./open.js";
export { dataPaths, type DataPaths } from "./paths.js";
export {
  type Method,
  type Params,
  type Progress,
  requestSchemas,
  type Results,
} from "./messages.js";
export type {
  GcResult,
  RemovedSnapshots,
  RetentionChange,
  RetentionRule,
  StoreQuota,
} from "./retention.js";
export type {
  DamagedState,
  RepairedState,
  StoreCheck,
  StoreRepair,
  StoreStats,
} from "./store-report.js";
export type { DaemonStatus, DoctorCheck, WorkspaceStatus, WorkspaceSummary } from "./summaries.js";
export { PROTOCOL_VERSION, VERSION } from "./version.js";
