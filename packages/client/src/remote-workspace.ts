// A workspace of the daemon behind the same interface as the library's own.

import { collectOutput } from "@devdev/protocol";
import type {
  ExecOptions,
  ExecProcess,
  ExecRecord,
  ExecResult,
  ExecWord,
  ForkOptions,
  HostMountOptions,
  MergeOptions,
  MergeResult,
  MountTransport,
  StatsOptions,
  Workspace,
  WorkspaceFs,
  WorkspaceOptions,
  WorkspaceStats,
  WorkspaceUsage,
} from "@devdev/protocol";
import { resolve } from "node:path";
import { type ConnectOptions, daemonGone } from "./connect.js";
import { FileChannel } from "./file-channel.js";
import { remoteFs } from "./remote-fs.js";
import { RemoteProcess } from "./remote-process.js";
import { RemoteStates } from "./remote-states.js";
import {
  forkedRemote,
  foundRemote,
  importedRemote,
  newRemote,
  remoteFromBytes,
  type RemoteImportOptions,
  type RemoteParts,
} from "./remote-making.js";
import type { RpcClient } from "./rpc-client.js";
import { SyncChannel } from "./sync-channel.js";
import { receiveMerge } from "./transfer.js";

export class RemoteWorkspace extends RemoteStates implements Workspace {
  readonly name: string;
  readonly fs: WorkspaceFs;
  readonly #rpc: RpcClient;
  readonly #files: FileChannel;
  readonly #sync: SyncChannel;
  readonly #options: ConnectOptions;
  readonly #ownEphemeral: boolean;
  #ownMount = false;
  #mountPoint: string | undefined;
  #transport: MountTransport | undefined;
  #writeback: boolean;
  #closing: Promise<void> | undefined;

  private constructor({ rpc, summary, connect, ownEphemeral }: RemoteParts) {
    const files = new FileChannel(summary.id, connect);
    super({ id: summary.id, rpc, files, connect });
    this.#rpc = rpc;
    this.#options = connect;
    this.#ownEphemeral = ownEphemeral;
    this.name = summary.name;
    this.#mountPoint = summary.mountPoint;
    this.#transport = summary.transport;
    this.#writeback = summary.writeback;
    this.#files = files;
    this.#sync = new SyncChannel(summary.id, connect);
    this.fs = remoteFs(this.#files, this.#sync);
  }

  /** A new workspace at the daemon; persistent unless `ephemeral`. */
  static async create(
    options: WorkspaceOptions = {},
    connect: ConnectOptions = {},
  ): Promise<RemoteWorkspace> {
    return new RemoteWorkspace(await newRemote(options, connect));
  }

  /** An existing workspace, by name, id, or a path inside its mount. */
  static async open(name: string, connect: ConnectOptions = {}): Promise<RemoteWorkspace> {
    return new RemoteWorkspace(await foundRemote(name, connect));
  }

  /** From what `Snapshot.toBytes` gave, with that one snapshot; its name: given, or random. */
  static async fromBytes(
    bytes: Uint8Array,
    options: RemoteImportOptions = {},
    connect: ConnectOptions = {},
  ): Promise<RemoteWorkspace> {
    return new RemoteWorkspace(await remoteFromBytes(bytes, options, connect));
  }

  /** A new workspace from an exported file; without a name it is called as the file is. */
  static async importFrom(
    file: string,
    options: RemoteImportOptions = {},
    connect: ConnectOptions = {},
  ): Promise<RemoteWorkspace> {
    return new RemoteWorkspace(await importedRemote(file, options, connect));
  }

  /** Where it was mounted when this program last heard of it. */
  get mountPoint(): string | undefined {
    return this.#mountPoint;
  }

  get transport(): MountTransport | undefined {
    return this.#mountPoint === undefined ? undefined : this.#transport;
  }

  get writeback(): boolean {
    return this.#writeback;
  }

  async mount(path?: string, options: HostMountOptions = {}): Promise<string> {
    const { mountPoint, transport, writeback } = await this.#rpc.call("workspace/mount", {
      name: this.id,
      ...(path !== undefined && { path: resolve(path) }),
      ...options,
    });
    if (mountPoint === undefined) throw daemonGone(" while it mounted");
    this.#ownMount = true;
    this.#mountPoint = mountPoint;
    this.#transport = transport;
    this.#writeback = writeback;
    return mountPoint;
  }

  async unmount(options: { force?: boolean } = {}): Promise<void> {
    await this.call("workspace/unmount", options);
    this.#ownMount = false;
    this.#mountPoint = undefined;
  }

  async exec(
    file: ExecWord,
    args: readonly ExecWord[] = [],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    return collectOutput(await this.spawn(file, args, options), options);
  }

  spawn(
    file: ExecWord,
    args: readonly ExecWord[] = [],
    options: ExecOptions = {},
  ): Promise<ExecProcess> {
    return RemoteProcess.start(
      { workspace: this.id, argv: [file, ...args], options },
      this.#options,
    );
  }

  processes(): Promise<ExecRecord[]> {
    return this.call("workspace/processes", {});
  }

  async fork(name?: string, options: ForkOptions = {}): Promise<RemoteWorkspace> {
    const named = { ...(name !== undefined && { name }), ...options };
    const { id } = await this.call("workspace/fork", named);
    return new RemoteWorkspace(await forkedRemote(id, this.#options));
  }

  merge(fork: Workspace, options: MergeOptions = {}): Promise<MergeResult> {
    return receiveMerge({ workspace: this.id, fork: fork.id, ...options }, this.#options);
  }

  usage(): Promise<WorkspaceUsage> {
    return this.call("workspace/usage", {});
  }

  stats(options: StatsOptions = {}): Promise<WorkspaceStats> {
    return this.call("workspace/stats", options);
  }

  async checkpoint(): Promise<void> {
    await this.call("workspace/checkpoint", {});
  }

  /** Undoes what this program did. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (this.#ownEphemeral) await this.call("workspace/remove", { force: true });
      else if (this.#ownMount) await this.unmount({ force: true }).catch(wasUnmounted);
    } finally {
      this.#mountPoint = undefined;
      await Promise.all([this.#files.close(), this.#sync.close()]);
      this.#rpc.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Somebody else was faster, which is as good. */
function wasUnmounted(error: unknown): void {
  if ((error as { code?: string }).code !== "ERR_NOT_MOUNTED") throw error;
}
