// A workspace of the daemon behind the same interface as the library's own.

import { collectOutput } from "@devdev/protocol";
import type {
  DiffOptions,
  DiffResult,
  ExecOptions,
  ExecProcess,
  ExecRecord,
  ExecResult,
  ExecWord,
  HostMountOptions,
  Method,
  Params,
  RestoreOptions,
  RestoreResult,
  Results,
  Snapshot,
  SnapshotInfo,
  SnapshotOptions,
  SnapshotResult,
  Workspace,
  WorkspaceFs,
  WorkspaceOptions,
  WorkspaceSummary,
  WorkspaceUsage,
} from "@devdev/protocol";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { ConnectOptions } from "./connect.js";
import { FileChannel } from "./file-channel.js";
import { remoteFs } from "./remote-fs.js";
import { RemoteProcess } from "./remote-process.js";
import { RpcClient } from "./rpc-client.js";

export class RemoteWorkspace implements Workspace {
  readonly id: string;
  readonly name: string;
  readonly fs: WorkspaceFs;
  readonly #rpc: RpcClient;
  readonly #files: FileChannel;
  readonly #options: ConnectOptions;
  #mountPoint: string | undefined;
  #temporary = false;

  private constructor(rpc: RpcClient, summary: WorkspaceSummary, options: ConnectOptions) {
    this.#rpc = rpc;
    this.#options = options;
    this.id = summary.id;
    this.name = summary.name;
    this.#mountPoint = summary.mountPoint;
    this.#files = new FileChannel(summary.id, options);
    this.fs = remoteFs(this.#files, summary.id, options);
  }

  /** A new workspace at the daemon; persistent unless `ephemeral`. */
  static async create(
    options: WorkspaceOptions = {},
    connect: ConnectOptions = {},
  ): Promise<RemoteWorkspace> {
    const { name, ephemeral, xattrs, maxBytes, maxInodes } = options;
    const rpc = await RpcClient.connect(connect);
    const params = Object.fromEntries(
      Object.entries({ name, ephemeral, xattrs, maxBytes, maxInodes }).filter(
        ([, value]) => value !== undefined,
      ),
    ) as Params<"workspace/create">;
    return new RemoteWorkspace(rpc, await rpc.call("workspace/create", params), connect);
  }

  /** An existing workspace, by name, id, or a path inside its mount. */
  static async open(name: string, connect: ConnectOptions = {}): Promise<RemoteWorkspace> {
    const rpc = await RpcClient.connect(connect);
    return new RemoteWorkspace(
      rpc,
      await rpc.call("workspace/select", { workspace: name }),
      connect,
    );
  }

  get mountPoint(): string | undefined {
    return this.#mountPoint;
  }

  #call<M extends Method>(method: M, params: Omit<Params<M>, "workspace">): Promise<Results[M]> {
    return this.#rpc.call(method, { workspace: this.id, ...params } as Params<M>);
  }

  async mount(path?: string, options: HostMountOptions = {}): Promise<string> {
    this.#temporary = path === undefined;
    const at = path === undefined ? await mkdtemp(join(tmpdir(), "devdev-ws-")) : resolve(path);
    const { mountPoint } = await this.#rpc.call("workspace/mount", {
      path: at,
      name: this.id,
      ...options,
    });
    this.#mountPoint = mountPoint;
    return at;
  }

  async unmount(options: { force?: boolean } = {}): Promise<void> {
    const { mountPoint } = await this.#call("workspace/unmount", options);
    this.#mountPoint = undefined;
    if (!this.#temporary) return;
    const { rmdir } = await import("node:fs/promises");
    await rmdir(mountPoint);
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
    return this.#call("workspace/processes", {});
  }

  async snapshot(options: SnapshotOptions = {}): Promise<SnapshotResult> {
    const { durationMs, pauseMs, filesChanged, ...info } = await this.#call(
      "snapshot/take",
      options,
    );
    return { ...this.#snapshot(info), durationMs, pauseMs, filesChanged };
  }

  async snapshots(): Promise<Snapshot[]> {
    return (await this.#call("snapshot/list", {})).map((info) => this.#snapshot(info));
  }

  #snapshot(info: SnapshotInfo): Snapshot {
    return {
      ...info,
      toBytes: async () => (await this.#files.call("snapshot.toBytes", [info.sequence])) as Buffer,
    };
  }

  restore(ref: string | number, options: RestoreOptions = {}): Promise<RestoreResult> {
    return this.#call("snapshot/restore", { ref, ...options });
  }

  diff(a?: string, b?: string, options: DiffOptions = {}): Promise<DiffResult> {
    return this.#call("snapshot/diff", {
      ...(a !== undefined && { a }),
      ...(b !== undefined && { b }),
      ...options,
    });
  }

  usage(): Promise<WorkspaceUsage> {
    return this.#call("workspace/usage", {});
  }

  async checkpoint(): Promise<void> {
    await this.#call("workspace/checkpoint", {});
  }

  /**
   * Unmounts if this object mounted it at a temporary place, and lets go; the workspace itself
   * stays.
   */
  async close(): Promise<void> {
    if (this.#mountPoint !== undefined && this.#temporary) await this.unmount();
    await this.#files.close();
    this.#rpc.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
