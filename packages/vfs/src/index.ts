// The core VFS: a Node-shaped fs API, snapshots and the host mount over the native addon, which
// nothing else imports.

export type { GraftPath } from "./graft.js";
export { Vfs } from "./vfs.js";
export type { FlushReport, RestoreReport, SnapshotName, VfsOptions, VfsUsage } from "./vfs.js";
export { clearDeadMount, helperPath, HostMount, hostMounts, whoUses } from "./host-mount.js";
export type {
  FoundMount,
  HostMountConfig,
  MountFigures,
  MountLogLevel,
  MountUser,
} from "./host-mount.js";
export { leave } from "./ending.js";
export { giveBackCode, giveBackMemory } from "./give-back.js";
export { Tree } from "./tree.js";
export type { TreeDiff } from "./tree-diff.js";
export type { MergedBefore, TreeMerge, TreeMerged } from "./tree-merge.js";
export { TreeLoader } from "./tree-loader.js";
export type { ImportOptions, ImportSource, StreamMeta, TarExport } from "./transfer.js";
export {
  dropSpareBuffers,
  pageId,
  pageReferences,
  PersistJob,
  pinnedBlocks,
  verifyBlock,
  verifyPage,
} from "./persist.js";
export type { Pace, StoreObject } from "./persist.js";
export { serveNeeds } from "./needs.js";
export type { Need, NeedsServer } from "./needs.js";
