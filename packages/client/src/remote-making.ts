// How a workspace of the daemon is made or found, before it is a RemoteWorkspace.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { argumentError } from "@devdev/errno";
import type { Params, WorkspaceOptions, WorkspaceSummary } from "@devdev/protocol";
import type { ConnectOptions } from "./connect.js";
import { RpcClient } from "./rpc-client.js";

/** What a RemoteWorkspace is made of. */
export interface RemoteParts {
  rpc: RpcClient;
  summary: WorkspaceSummary;
  connect: ConnectOptions;
  /** This program made it, and nobody else knows it: closing it removes it. */
  ownEphemeral: boolean;
}

export type RemoteImportOptions = WorkspaceOptions & {
  /** Keep the owners of the file also when the daemon is not root's. */
  numericOwner?: boolean;
  /** It is a tar archive, perhaps compressed, instead of the export format. */
  tar?: boolean;
};

type MakingParams = Params<"workspace/create">;

export function newRemote(
  options: WorkspaceOptions,
  connect: ConnectOptions,
): Promise<RemoteParts> {
  const params = makingParams(options);
  return connected(connect, (rpc) => rpc.call("workspace/create", params));
}

export async function foundRemote(name: string, connect: ConnectOptions): Promise<RemoteParts> {
  const find = (rpc: RpcClient): Promise<WorkspaceSummary> =>
    rpc.call("workspace/select", { workspace: name });
  return { ...(await connected(connect, find)), ownEphemeral: false };
}

/** One that this program has just made. */
export function forkedRemote(id: string, connect: ConnectOptions): Promise<RemoteParts> {
  return connected(connect, (rpc) => rpc.call("workspace/select", { workspace: id }));
}

export function importedRemote(
  file: string,
  options: RemoteImportOptions,
  connect: ConnectOptions,
  naming: { nameFromFile?: false } = {},
): Promise<RemoteParts> {
  const { numericOwner, tar } = options;
  const owner = { ...(numericOwner && { numericOwner }), ...(tar && { tar }) };
  const params = { ...makingParams(options), ...owner, ...naming, file: resolve(file) };
  return connected(connect, (rpc) => rpc.call("workspace/import", params));
}

/** By way of a file: the daemon is on the same host. */
export async function remoteFromBytes(
  bytes: Uint8Array,
  options: RemoteImportOptions,
  connect: ConnectOptions,
): Promise<RemoteParts> {
  const directory = await mkdtemp(join(tmpdir(), "devdev-import-"));
  try {
    const file = join(directory, "bytes");
    await writeFile(file, bytes, { mode: 0o600 });
    return await importedRemote(file, options, connect, { nameFromFile: false });
  } finally {
    await rm(directory, { recursive: true });
  }
}

function makingParams(options: WorkspaceOptions): MakingParams {
  for (const name of ["dataDir", "clock"] as const) {
    if (options[name] === undefined) continue;
    const message = `${name} is an option of workspaces in this process, not of a daemon's`;
    throw argumentError("TypeError", "ERR_INVALID_ARG_VALUE", message);
  }
  const { name, ephemeral, xattrs, durable, writeback, autosnapshot, retention } = options;
  const { maxBytes, maxInodes, uid, gid } = options;
  const kept = { name, ephemeral, xattrs, durable, writeback, autosnapshot, retention };
  const all = { ...kept, maxBytes, maxInodes, uid, gid };
  const given = Object.entries(all);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as MakingParams;
}

async function connected(
  connect: ConnectOptions,
  make: (rpc: RpcClient) => Promise<WorkspaceSummary>,
): Promise<RemoteParts> {
  const rpc = await RpcClient.connect(connect);
  try {
    const summary = await make(rpc);
    return { rpc, summary, connect, ownEphemeral: summary.ephemeral };
  } catch (error) {
    rpc.close();
    throw error;
  }
}
