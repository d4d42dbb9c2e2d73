// What a host refuses before it does anything: to remove what is in use, to touch files of its own
// mounts.

import { resolve } from "node:path";

import { DevdevError } from "@devdev/errno";
import type { Workspace, WorkspaceSummary } from "@devdev/protocol";

export async function refuseInUse(workspace: Workspace): Promise<void> {
  const { name, mountPoint } = workspace;
  const running = await workspace.processes();
  if (mountPoint === undefined && running.length === 0) return;
  const use = mountPoint === undefined ? "runs commands" : `is mounted at ${mountPoint}`;
  throw new DevdevError("EBUSY", `workspace ${name} ${use}`, {
    hint: "unmount it first, or use --force",
  });
}

/** A process that waits for its own mount cannot even be killed. */
export function refuseInMount(all: readonly WorkspaceSummary[], file: string): void {
  const path = resolve(file);
  const inside = all.find(
    ({ mountPoint }) => mountPoint !== undefined && `${path}/`.startsWith(`${mountPoint}/`),
  );
  if (!inside) return;
  throw new DevdevError("EINVAL", `${path} is inside of workspace ${inside.name}`, {
    hint: "choose a file outside of every workspace",
  });
}
