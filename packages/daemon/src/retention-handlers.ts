// The methods about how long snapshots are kept, how full the store may be, whether it is whole.

import type { Method, Workspace } from "@devdev/protocol";
import type { WorkspaceHost } from "@devdev/workspace";
import { defined } from "./mounting.js";
import type { Handlers } from "./rpc.js";
import { snapshotInfo } from "./snapshot-info.js";

type Names = "snapshot/remove" | "workspace/retention" | Extract<Method, `store/${string}`>;

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
      return host.store.gc(defined({ dryRun }));
    },
    "store/check": ({ deep }, call) => {
      const onProgress = (done: number): void => call.progress("checking objects", done);
      call.progress("checking the database");
      return host.store.check(defined({ deep, onProgress }));
    },
    "store/repair": ({ dryRun }, call) => {
      const onProgress = (done: number): void => call.progress("checking objects", done);
      call.progress("checking the database");
      return host.store.repair(defined({ dryRun, onProgress }));
    },
    "store/stats": (_, call) => {
      call.progress("counting");
      return host.store.stats();
    },
    "store/limit": ({ limit }, call) => {
      call.progress("collecting garbage");
      return host.store.quota(limit);
    },
  };
}
