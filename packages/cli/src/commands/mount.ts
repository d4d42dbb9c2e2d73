// devdev mount, devdev unmount.

import type { Autosnapshot, MountTransport, Params } from "@devdev/protocol";
import { UsageError } from "../failure.js";
import { hostPath } from "../host-path.js";
import { clock } from "../interrupted.js";
import { duration, line, printJson } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

interface MountOptions extends GlobalOptions {
  name?: string;
  ephemeral?: boolean;
  durable?: boolean;
  writeback?: boolean;
  autosnapshot?: Autosnapshot;
  allowOther?: boolean;
  transport?: MountTransport;
  xattrs: boolean;
  limit?: number;
  maxInodes?: number;
}

export async function mount(directory: string | undefined, options: MountOptions): Promise<void> {
  if (directory === "") throw new UsageError("the directory to mount at has an empty name");
  using session = await Session.open(options);
  const params: Params<"workspace/mount"> = { path: await hostPath(directory ?? "ws") };
  const name = options.name ?? options.workspace;
  if (name !== undefined) params.name = name;
  if (options.ephemeral) params.ephemeral = true;
  if (options.durable !== undefined) params.durable = options.durable;
  if (options.writeback !== undefined) params.writeback = options.writeback;
  if (options.autosnapshot !== undefined) params.autosnapshot = options.autosnapshot;
  if (options.allowOther) params.allowOther = true;
  if (options.transport !== undefined) params.transport = options.transport;
  if (!options.xattrs) params.xattrs = false;
  if (options.limit !== undefined) params.maxBytes = options.limit;
  if (options.maxInodes !== undefined) params.maxInodes = options.maxInodes;
  const mounted = await session.call("workspace/mount", params);
  if (options.json) return printJson(mounted);
  if (options.transport !== undefined && options.transport !== mounted.transport) {
    process.stderr.write(
      `devdev: it is classic: ${mounted.whyClassic ?? "io_uring cannot be used here"} (see devdev doctor)\n`,
    );
  }
  if (options.writeback && !mounted.writeback) {
    process.stderr.write(
      "devdev: this kernel is too old for --writeback, so it is write-through\n",
    );
  }
  const what = mounted.created ? "new workspace" : "workspace";
  const { checkpointAt } = mounted;
  const back = checkpointAt === undefined ? "" : `, as of its checkpoint of ${clock(checkpointAt)}`;
  line(
    `${what} ${mounted.name} mounted at ${mounted.mountPoint ?? params.path} (${duration(mounted.durationMs)})${back}`,
  );
}

export async function unmount(
  workspace: string | undefined,
  options: GlobalOptions & { force?: boolean },
): Promise<void> {
  using session = await Session.open(options);
  const { id, name } = await session.workspace(workspace);
  const result = await session.call("workspace/unmount", {
    workspace: id,
    ...(options.force && { force: true }),
  });
  if (options.json) return printJson(result);
  line(`workspace ${name} unmounted from ${result.mountPoint}`);
}
