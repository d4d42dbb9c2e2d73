// Typed client of the daemon: the same Workspace interface as the library, and the daemon's
// methods.

export { collectOutput, gatherOutput } from "@devdev/protocol";
export {
  checkVersion,
  connectDaemon,
  type ConnectOptions,
  openFrame,
  startDaemon,
} from "./connect.js";
export { offlineStore, type OfflineStoreTask } from "./offline-store.js";
export { RemoteProcess, type RemoteCommand } from "./remote-process.js";
export { RemoteWorkspace } from "./remote-workspace.js";
export { type CallOptions, RpcClient } from "./rpc-client.js";
export { comparedBy } from "./compared.js";
export {
  importPieces,
  receive,
  receiveDiff,
  receiveMerge,
  type TransferOptions,
} from "./transfer.js";
