// The daemon's methods about the history of a workspace, and going back and forth in it.

import { type BytePath, pathBytes, type Workspace } from "@devdev/protocol";
import { defined } from "./mounting.js";
import type { Handlers } from "./rpc.js";

type HistoryMethods =
  | "snapshot/restore"
  | "workspace/configure"
  | "history/log"
  | "history/undo"
  | "history/redo";

export function historyHandlers(
  opened: (name: string) => Promise<Workspace>,
): Pick<Handlers, HistoryMethods> {
  return {
    "snapshot/restore": async ({ workspace, ref, ...options }, call) => {
      call.progress("restoring");
      return (await opened(workspace)).restore(ref, defined(withBytes(options)));
    },
    "workspace/configure": async ({ workspace, ...settings }) =>
      (await opened(workspace)).configure(defined(settings)),
    "history/log": async ({ workspace, ...options }) =>
      (await opened(workspace)).log(defined(options)),
    "history/undo": async ({ workspace, ...options }, call) => {
      call.progress("restoring");
      return (await opened(workspace)).undo(defined(withBytes(options)));
    },
    "history/redo": async ({ workspace, ...options }, call) => {
      call.progress("restoring");
      return (await opened(workspace)).redo(defined(options));
    },
  };
}

/** Paths as the library takes them. */
function withBytes<O extends { paths?: BytePath[] | undefined }>({
  paths,
  ...options
}: O): Omit<O, "paths"> & { paths: Array<string | Buffer> | undefined } {
  const given = paths?.map((path) => (typeof path === "string" ? path : pathBytes(path)));
  return { ...options, paths: given };
}
