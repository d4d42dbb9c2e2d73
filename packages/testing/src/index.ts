// Private to the tests: generators, a reference model, guards around host mounts. No product code
// imports it.

export { comparable, comparableTree, type SyncFs } from "./compare-fs.js";
export {
  type ContractCase,
  fileOutcomes,
  workspaceContract,
  type WorkspaceMaker,
} from "./workspace-contract/index.js";
export { Random } from "./random.js";
export { silentLog } from "./silent-log.js";
export {
  type Change,
  changesOf,
  type Files,
  filesOf,
  randomBase,
  type Side,
} from "./random-changes.js";
