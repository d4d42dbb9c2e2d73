// The method that makes workspaces of workspaces (merge-stream.ts brings them together again).

import type { WorkspaceHost } from "@devdev/workspace";
import { defined } from "./mounting.js";
import type { Handlers } from "./rpc.js";
import { selectWorkspace } from "./select.js";

type Names = "workspace/fork";

export function branchHandlers(host: WorkspaceHost): Pick<Handlers, Names> {
  return {
    "workspace/fork": async ({ workspace, ...options }) => {
      const { id: source } = await selectWorkspace(host, workspace, undefined);
      const started = performance.now();
      const { id } = await host.fork(source, defined(options));
      const durationMs = performance.now() - started;
      return { ...(await selectWorkspace(host, id, undefined)), durationMs };
    },
  };
}
