// The methods that make workspaces of workspaces, and bring their changes together again.

import type { WorkspaceHost, Workspace } from "@devdev/workspace";
import { defined } from "./mounting.js";
import type { Handlers } from "./rpc.js";
import { selectWorkspace } from "./select.js";

type Names = "workspace/fork" | "workspace/merge";

export function branchHandlers(host: WorkspaceHost): Pick<Handlers, Names> {
  const opened = async (name: string): Promise<Workspace> =>
    host.open((await selectWorkspace(host, name, undefined)).id);
  return {
    "workspace/fork": async ({ workspace, ...options }) => {
      const { id: source } = await selectWorkspace(host, workspace, undefined);
      const started = performance.now();
      const { id } = await host.fork(source, defined(options));
      const durationMs = performance.now() - started;
      return { ...(await selectWorkspace(host, id, undefined)), durationMs };
    },
    "workspace/merge": async ({ workspace, fork, ...options }, call) => {
      call.progress("merging");
      return (await opened(workspace)).merge(await opened(fork), defined(options));
    },
  };
}
