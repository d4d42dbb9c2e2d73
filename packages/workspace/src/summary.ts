// A workspace of the store as lists show it.

import type { WorkspaceSummary } from "@devdev/protocol";

import { defined } from "./parts.js";
import type { ListedWorkspace } from "./store-service/interface.js";

type Present = Pick<
  WorkspaceSummary,
  "mountPoint" | "transport" | "whyClassic" | "writeback" | "autosnapshot" | "interrupted"
>;

/** `present`: what is so only now. */
export function summaryOf(row: ListedWorkspace, present: Present): WorkspaceSummary {
  const { id, name, createdAt, mountPath: lastMountPoint, snapshots, options, forkOf } = row;
  const durable = options["durable"] === true;
  const known = defined({ lastMountPoint, forkOf });
  return { id, name, ...present, ...known, ephemeral: false, durable, snapshots, createdAt };
}
