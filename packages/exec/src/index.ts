// Curated environment, PTY and pipe launchers, process groups. Separate because running commands
// needs no knowledge of the tree they run in.

export { Cgroup, CgroupHome } from "./cgroup.js";
export {
  BASE_PATH,
  buildEnvironment,
  type EnvironmentOptions,
  type Host,
  parseAssignment,
} from "./environment.js";
export { Executor, type ExecutorOptions } from "./executor.js";
export { findOnPath, readHost, userShell } from "./host.js";
export { LaunchError, type LaunchFailure, type LaunchStage } from "./launch-error.js";
export type { ResourceLimit, ResourceName } from "./launch-spec.js";
export type { OutputListener, OutputName } from "./output.js";
export { type Pause, pause } from "./pause.js";
export { ProcessGroup } from "./process-group.js";
export type { ProcessInfo } from "./process-table.js";
export { isProfileName, type Profile, type ProfileName, PROFILES } from "./profiles.js";
export { SpawnedProcess, spawnProcess, type SpawnOptions } from "./spawned-process.js";
