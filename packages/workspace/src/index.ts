// The library: vfs, exec and store put together in one process, as the Workspace interface of
// @devdev/protocol.

export type { ExportOptions } from "./export-file.js";
export { WorkspaceHost } from "./host.js";
export type { Host, HostOptions } from "./host-interface.js";
export { refuseInMount } from "./host-refusals.js";
export type { Imported } from "./import-source.js";
export type { ReopenOptions } from "./making.js";
export type { ImportOptions, WorkspaceParts } from "./parts.js";
export { makeDirectory } from "@devdev/store";
export { clearDeadMount, giveBackCode, helperPath, hostMounts, leave } from "@devdev/vfs";
export { checkStoreOf, repairStoreOf, storeStatsOf } from "./store-tools.js";
export type { StoreToolOptions } from "./store-tools.js";
export { Workspace } from "./workspace.js";
