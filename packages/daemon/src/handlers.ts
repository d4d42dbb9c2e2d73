// The daemon's methods. Each converts between the protocol and the library; none knows the wire.

import { DevdevError } from "@devdev/errno";
import {
  type DaemonStatus,
  type DataPaths,
  PROTOCOL_VERSION,
  type Results,
  VERSION,
  type Workspace,
  type WorkspaceSummary,
} from "@devdev/protocol";
import type { WorkspaceHost } from "@devdev/workspace";
import { branchHandlers } from "./branch-handlers.js";
import { examine } from "./doctor.js";
import { historyHandlers } from "./history-handlers.js";
import { defined, Mounter } from "./mounting.js";
import { retentionHandlers } from "./retention-handlers.js";
import type { CallContext, Handlers } from "./rpc.js";
import { openNamed, selectWorkspace } from "./select.js";
import { snapshotInfo } from "./snapshot-info.js";

export interface HandlerContext {
  host: WorkspaceHost;
  paths: DataPaths;
  status(): Promise<DaemonStatus>;
  stop(reason: string): Promise<void>;
}

// A full disk: the workspaces in memory are all there is, and a stop would lose them.
function refuseStop(cause: unknown): never {
  throw new DevdevError("ERR_STOP", `the daemon goes on: ${(cause as Error).message}`, {
    hint: `make room and stop it again; SIGTERM to ${process.pid} ends it and loses what is not stored`,
    cause,
  });
}

/** Handlers over one host. */
export function createHandlers(context: HandlerContext): Handlers {
  const { host } = context;
  const mounter = new Mounter(host);
  const opened = (name: string): Promise<Workspace> => openNamed(host, name);
  return {
    hello: () => ({ version: VERSION, protocol: PROTOCOL_VERSION, pid: process.pid }),
    "daemon/status": () => context.status(),
    "daemon/stop": async () => {
      await Promise.all(host.opened().map((ws) => ws.checkpoint())).catch(refuseStop);
      const { length } = (await host.list()).filter((w) => w.mountPoint !== undefined);
      await context.stop("asked by a client");
      return { workspaces: length };
    },
    "workspace/list": () => host.list(),
    "workspace/select": (params) => selectWorkspace(host, params.workspace, params.cwd),
    "workspace/create": async (params) => summary(host, (await host.create(defined(params))).id),
    "workspace/mount": (params, call) => mounter.mount(params, call),
    "workspace/unmount": async ({ workspace, force }) => {
      const target = await opened(workspace);
      const { mountPoint } = target;
      if (mountPoint === undefined) {
        throw new DevdevError("ERR_NOT_MOUNTED", `workspace ${target.name} is not mounted`);
      }
      await target.unmount(force === undefined ? {} : { force });
      return { mountPoint };
    },
    "workspace/remove": async ({ workspace, force }) => {
      const { id, name } = await selectWorkspace(host, workspace, undefined);
      await host.remove(id, { force: force ?? false });
      return { id, name };
    },
    "workspace/status": async ({ workspace }) => status(host, await opened(workspace)),
    "workspace/usage": async ({ workspace }) => (await opened(workspace)).usage(),
    "workspace/stats": async ({ workspace, reset }) =>
      (await opened(workspace)).stats(defined({ reset })),
    "workspace/processes": async ({ workspace }) => (await opened(workspace)).processes(),
    "workspace/checkpoint": async ({ workspace }) =>
      opened(workspace).then((ws) => ws.checkpoint().then(() => null)),
    "snapshot/take": async ({ workspace, ...options }, call) => {
      call.progress("storing the snapshot");
      const { durationMs, pauseMs, filesChanged, ...taken } = await (
        await opened(workspace)
      ).snapshot(defined(options));
      return { ...snapshotInfo(taken), durationMs, pauseMs, filesChanged };
    },
    "snapshot/list": async ({ workspace }) =>
      (await (await opened(workspace)).snapshots()).map(snapshotInfo),
    ...historyHandlers(opened),
    "snapshot/export": (params, call) => exportSnapshot(host, params, call),
    "workspace/import": async ({ file, ...options }, call) => {
      call.progress("reading the file");
      const imported = await host.import(file, { ...defined(options), signal: call.signal });
      if (!call.signal.aborted) return imported;
      await host.remove(imported.id, { force: true });
      throw new DevdevError("ECANCELED", "the import was cancelled");
    },
    ...branchHandlers(host),
    ...retentionHandlers(host, opened),
    doctor: () => examine(host, context.paths),
  };
}

async function summary(host: WorkspaceHost, id: string): Promise<WorkspaceSummary> {
  return selectWorkspace(host, id, undefined);
}

async function status(
  host: WorkspaceHost,
  workspace: Workspace,
): Promise<Results["workspace/status"]> {
  const [base, usage, processes, snapshots, store] = await Promise.all([
    summary(host, workspace.id),
    workspace.usage(),
    workspace.processes(),
    workspace.snapshots(),
    host.store.quota(),
  ]);
  const latest = snapshots.at(-1);
  const shared = base.ephemeral ? {} : { store };
  return {
    ...base,
    ...shared,
    usage,
    processes,
    ...(latest && { latestSnapshot: snapshotInfo(latest) }),
  };
}

async function exportSnapshot(
  host: WorkspaceHost,
  params: Parameters<Handlers["snapshot/export"]>[0],
  call: CallContext,
): Promise<Results["snapshot/export"]> {
  const started = performance.now();
  const { id } = await selectWorkspace(host, params.workspace, undefined);
  call.progress("writing the file");
  const written = await host.export(id, params.file, {
    ...defined({ ref: params.ref, force: params.force, tar: params.tar }),
    signal: call.signal,
    onProgress: (done) => call.progress("writing the file", done),
  });
  return { ...written, file: params.file, durationMs: performance.now() - started };
}
