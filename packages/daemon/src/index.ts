// Owns workspaces and serves the protocol. Only bin/ starts it.

export { Daemon } from "./daemon.js";
export { selectWorkspace } from "./select.js";
export { inside, workingDirectory } from "./exec-stream.js";
