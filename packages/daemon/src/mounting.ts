// The method workspace/mount: finds or makes the workspace, mounts it, and takes everything back
// when that fails or the client gives up.

import { DevdevError } from "@devdev/errno";
import type { HostMountOptions, Results, Workspace, WorkspaceSummary } from "@devdev/protocol";
import type { WorkspaceHost } from "@devdev/workspace";
import type { CallContext, Handlers } from "./rpc.js";
import { selectWorkspace } from "./select.js";

type MountParams = Parameters<Handlers["workspace/mount"]>[0];

export class Mounter {
  readonly #host: WorkspaceHost;
  /** Paths and names that are being mounted: a second request would find neither. */
  readonly #underWay = new Set<string>();

  constructor(host: WorkspaceHost) {
    this.#host = host;
  }

  async mount(params: MountParams, call: CallContext): Promise<Results["workspace/mount"]> {
    const { path, name } = params;
    const keys = [path && `at ${path}`, name && `workspace ${name}`].filter((key) => !!key);
    const taken = keys.find((key) => this.#underWay.has(key as string));
    if (taken !== undefined) throw new DevdevError("EBUSY", `a mount ${taken} is under way`);
    keys.forEach((key) => this.#underWay.add(key as string));
    try {
      return await this.#mount(params, call);
    } finally {
      keys.forEach((key) => this.#underWay.delete(key as string));
    }
  }

  async #mount(params: MountParams, call: CallContext): Promise<Results["workspace/mount"]> {
    const started = performance.now();
    const { path, name, allowOther, durable, writeback, transport, ...options } = params;
    const { autosnapshot } = params;
    const all = await this.#host.list();
    if (path !== undefined) refuseTaken(all, path);
    const known =
      name === undefined
        ? lastMountedAt(all, path)
        : all.find((w) => w.name === name || w.id === name);
    call.progress(known ? "bringing the workspace back" : "making a workspace");
    const workspace = known
      ? await this.#host.open(known.id)
      : await this.#host.create(defined({ ...options, durable, writeback, name, mountPath: path }));
    try {
      if (known) await refuseOther(known, workspace, options);
      refuseCancelled(call);
      const mounting = { allowOther, durable, writeback, transport, autosnapshot };
      await mountAt(workspace, path, defined(mounting), call);
    } catch (error) {
      if (!known) await this.#host.remove(workspace.id, { force: true });
      throw error;
    }
    const summary = await selectWorkspace(this.#host, workspace.id, undefined);
    const checkpointAt = known?.interrupted?.checkpointAt;
    const durationMs = performance.now() - started;
    return { ...summary, created: !known, durationMs, ...defined({ checkpointAt }) };
  }
}

async function mountAt(
  workspace: Workspace,
  path: string | undefined,
  options: HostMountOptions,
  call: CallContext,
): Promise<void> {
  await workspace.mount(path, options);
  try {
    refuseCancelled(call);
  } catch (error) {
    await workspace.unmount({ force: true });
    throw error;
  }
}

function refuseCancelled({ signal }: CallContext): void {
  if (signal.aborted) throw new DevdevError("ECANCELED", "the mount was cancelled");
}

function refuseTaken(all: WorkspaceSummary[], path: string): void {
  const there = all.find((w) => w.mountPoint === path);
  if (there) {
    const message = `${path} is already the mount point of workspace ${there.name}`;
    throw new DevdevError("EBUSY", message, {
      hint: "unmount it first, or choose another directory",
    });
  }
  const around = all.find((w) => w.mountPoint !== undefined && path.startsWith(`${w.mountPoint}/`));
  if (!around) return;
  // The daemon would wait for itself whenever it looks at such a mount point.
  throw new DevdevError("EINVAL", `${path} is inside of workspace ${around.name}`, {
    hint: "choose a directory outside of every workspace",
  });
}

/** Options that shape a workspace are for new ones; an existing one must agree with them. */
async function refuseOther(
  known: WorkspaceSummary,
  workspace: Workspace,
  wanted: Pick<MountParams, "ephemeral" | "maxBytes" | "maxInodes">,
): Promise<void> {
  const { maxBytes, maxInodes } = await workspace.usage();
  const differs = <T>(given: T | undefined, is: T): boolean => given !== undefined && given !== is;
  const is = differs(wanted.ephemeral, known.ephemeral)
    ? `is ${known.ephemeral ? "" : "not "}ephemeral`
    : differs(wanted.maxBytes, maxBytes)
      ? `has a limit of ${maxBytes} bytes, not ${wanted.maxBytes}`
      : differs(wanted.maxInodes, maxInodes)
        ? `has a limit of ${maxInodes} inodes, not ${wanted.maxInodes}`
        : undefined;
  if (is === undefined) return;
  throw new DevdevError("EEXIST", `workspace ${known.name} exists and ${is}`, {
    hint: "mount it without that option, or make another one with --name",
  });
}

function lastMountedAt(
  all: WorkspaceSummary[],
  path: string | undefined,
): WorkspaceSummary | undefined {
  if (path === undefined) return undefined;
  return all.findLast((w) => w.mountPoint === undefined && w.lastMountPoint === path);
}

// Optional parameters that were not given are absent, not undefined.
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
