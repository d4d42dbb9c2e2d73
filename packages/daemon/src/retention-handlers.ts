// The methods about how long snapshots are kept, and how full the store may be.

import type { Workspace } from "@devdev/protocol";
import type { WorkspaceHost } from "@devdev/workspace";
import { defined } from "./mounting.js";
import type { Handlers } from "./rpc.js";
import { snapshotInfo } from "./snapshot-info.js";

type Names = "snapshot/remove" | "workspace/retention" | "store/gc" | "store/limit";

export function retentionHandlers(
  host: WorkspaceHost,
  opened: (name: string) => Promise<Workspace>,
): Pick<Handlers, Names> {
  return {
    "snapshot/remove": async ({ workspace, refs }) => {
      const removed = await (await opened(workspace)).removeSnapshots(refs);
      return { removed: removed.map(snapshotInfo) };
    },
    "workspace/retention": async ({ workspace, ...change }) => {
      const target = await opened(workspace);
      const given = Object.values(change).some((value) => value !== undefined);
      return target.retention(given ? defined(change) : undefined);
    },
    "store/gc": ({ dryRun }, call) => {
      call.progress(dryRun ? "looking for what can go" : "collecting garbage");
      return host.gc(defined({ dryRun }));
    },
    "store/limit": ({ limit }, call) => {
      call.progress("collecting garbage");
      return host.quota(limit);
    },
  };
}
