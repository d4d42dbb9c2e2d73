// The part of a RemoteWorkspace that is about its states in time: snapshots, the history, going
// back and forth in it, comparing.

import { gatherDiff, gatherShown, pathOf } from "@devdev/protocol";
import type {
  BytePath,
  DiffOptions,
  DiffResult,
  HistoryEvent,
  LogOptions,
  Method,
  Params,
  RestoreOptions,
  RestoreResult,
  Results,
  RetentionChange,
  RetentionRule,
  ShowOptions,
  ShownEvent,
  Snapshot,
  SnapshotInfo,
  SnapshotOptions,
  SnapshotResult,
  TravelOptions,
  TravelResult,
  UndoOptions,
  WorkspaceSettings,
} from "@devdev/protocol";
import { comparedBy } from "./compared.js";
import type { ConnectOptions } from "./connect.js";
import type { FileChannel } from "./file-channel.js";
import type { RpcClient } from "./rpc-client.js";
import { receive, receiveDiff } from "./transfer.js";

interface Reached {
  id: string;
  rpc: RpcClient;
  files: FileChannel;
  connect: ConnectOptions;
}

export abstract class RemoteStates {
  readonly id: string;
  readonly #reached: Reached;

  protected constructor(reached: Reached) {
    this.id = reached.id;
    this.#reached = reached;
  }

  protected call<M extends Method>(
    method: M,
    params: Omit<Params<M>, "workspace">,
  ): Promise<Results[M]> {
    return this.#reached.rpc.call(method, { workspace: this.id, ...params } as Params<M>);
  }

  async snapshot(options: SnapshotOptions = {}): Promise<SnapshotResult> {
    const { durationMs, pauseMs, filesChanged, ...info } = await this.call(
      "snapshot/take",
      options,
    );
    return { ...this.#snapshot(info), durationMs, pauseMs, filesChanged };
  }

  async snapshots(): Promise<Snapshot[]> {
    return (await this.call("snapshot/list", {})).map((info) => this.#snapshot(info));
  }

  #snapshot(info: SnapshotInfo): Snapshot {
    return {
      ...info,
      toBytes: async () =>
        (await this.#reached.files.call("snapshot.toBytes", [info.sequence])) as Buffer,
    };
  }

  async removeSnapshots(refs: ReadonlyArray<string | number>): Promise<SnapshotInfo[]> {
    return (await this.call("snapshot/remove", { refs: [...refs] })).removed;
  }

  retention(change: RetentionChange = {}): Promise<RetentionRule> {
    return this.call("workspace/retention", change);
  }

  restore(ref: string | number, options: RestoreOptions = {}): Promise<RestoreResult> {
    return this.call("snapshot/restore", { ref, ...withPaths(options) });
  }

  log(options: LogOptions = {}): Promise<HistoryEvent[]> {
    return this.call("history/log", options);
  }

  show(turn?: number, options: ShowOptions = {}): Promise<ShownEvent> {
    const asked = { ...(turn !== undefined && { turn }), ...options };
    const open = { kind: "show", workspace: this.id, ...asked } as const;
    return gatherShown(receiveDiff(open, this.#reached.connect), options);
  }

  undo(options: UndoOptions = {}): Promise<TravelResult> {
    return this.call("history/undo", withPaths(options));
  }

  redo(options: TravelOptions = {}): Promise<TravelResult> {
    const { paths: _, ...travel } = options;
    return this.call("history/redo", travel);
  }

  configure(settings: WorkspaceSettings): Promise<Required<WorkspaceSettings>> {
    return this.call("workspace/configure", settings);
  }

  diff(a?: string, b?: string, options: DiffOptions = {}): Promise<DiffResult> {
    const open = { kind: "diff", workspace: this.id, ...comparedBy(a, b, options) } as const;
    return gatherDiff(receiveDiff(open, this.#reached.connect), options);
  }

  async *patch(a?: string, b?: string, options: DiffOptions = {}): AsyncGenerator<Buffer> {
    const { patch: _, stat: __, ...compared } = comparedBy(a, b, options);
    yield* receive({ kind: "patch", workspace: this.id, ...compared }, this.#reached.connect);
  }
}

/** Paths as messages carry them. */
function withPaths<O extends { paths?: readonly (string | Buffer)[] }>({
  paths,
  ...options
}: O): Omit<O, "paths"> & { paths?: BytePath[] } {
  return { ...options, ...(paths && { paths: paths.map((path) => pathOf(path)) }) };
}
