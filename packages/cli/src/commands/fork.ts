// devdev fork.

import { UsageError } from "../failure.js";
import { hostPath } from "../host-path.js";
import { duration, line, printJson } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

type ForkOptions = GlobalOptions & { from?: string; mount?: string };

export async function fork(name: string | undefined, options: ForkOptions): Promise<void> {
  if (options.mount === "") throw new UsageError("the directory to mount at has an empty name");
  using session = await Session.open(options);
  const source = await session.workspaceAsLeft();
  const forked = await session.call("workspace/fork", {
    workspace: source.id,
    ...(name !== undefined && { name }),
    ...(options.from !== undefined && { from: options.from }),
  });
  const mounted =
    options.mount === undefined ? forked : await mount(session, forked.id, options.mount);
  if (options.json) return printJson({ ...forked, ...mounted, durationMs: forked.durationMs });
  const at = mounted.mountPoint === undefined ? "" : `, mounted at ${mounted.mountPoint}`;
  line(`workspace ${forked.name} forked from ${source.name}${at} (${duration(forked.durationMs)})`);
  if (at === "") line(`mount it with: devdev mount --name ${forked.name} DIRECTORY`);
}

/** A fork that cannot be mounted is taken back: nobody has seen it. */
async function mount(
  session: Session,
  workspace: string,
  directory: string,
): Promise<{ mountPoint?: string }> {
  try {
    const path = await hostPath(directory);
    return await session.call("workspace/mount", { name: workspace, path });
  } catch (error) {
    await session.call("workspace/remove", { workspace, force: true });
    throw error;
  }
}
