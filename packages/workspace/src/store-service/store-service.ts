// A store as the main thread sees it: every call is answered by one of its threads. Nothing of
// SQLite runs in this one.

import { DevdevError } from "@devdev/errno";
import type { BaseRow, Checkpoint, NewWorkspace } from "@devdev/store";
import type { CollectionResult, SnapshotRow, WorkspaceChange } from "@devdev/store";
import type { WorkspaceRow } from "@devdev/store";
import { Tree } from "@devdev/vfs";

import type { StoreRepair } from "@devdev/protocol";
import type { SnapshotOwner } from "../keeper.js";
import type { EventBackend } from "../event-log.js";
import { WorkerCalls } from "./calls.js";
import { StoreChecks } from "./checks.js";
import { asideOf } from "../salvage/aside.js";
import { historyOf } from "./history.js";
import { Loans } from "./loans.js";
import { Quota } from "./quota.js";
import type {
  Forked,
  ForkPoint,
  GoingBack,
  ListedWorkspace,
  PersistRequest,
  PersistResult,
  ReaderCalls,
  StoreStatistics,
  WriterCalls,
} from "./interface.js";
import { SnapshotLists } from "./snapshot-lists.js";

export class StoreService {
  readonly directory: string;
  /** Ids of the workspaces that are open. */
  readonly claims = new Set<string>();
  /** Who decides about the snapshots of those that are open, by workspace. */
  readonly owners = new Map<string, SnapshotOwner>();
  /** Who is told what of a workspace could not be read when somebody needed it. */
  readonly onDamage = new Map<string, (what: string) => void>();
  readonly quota: Quota;
  readonly #loans: Loans;
  readonly #writer: WorkerCalls<WriterCalls>;
  readonly #reader: WorkerCalls<ReaderCalls>;
  readonly #lists = new SnapshotLists((id) => this.#reader.call("snapshots", id));
  readonly checks: StoreChecks;

  private constructor(directory: string) {
    this.directory = directory;
    this.checks = new StoreChecks(directory);
    this.#writer = new WorkerCalls(new URL("./writer.js", import.meta.url), { directory });
    const damaged = (workspace: string, what: string): void => this.onDamage.get(workspace)?.(what);
    this.#reader = new WorkerCalls(
      new URL("./reader.js", import.meta.url),
      { directory },
      { damaged },
    );
    this.#loans = new Loans(
      (root) => this.#writer.call("hold", root),
      (root) => this.#writer.call("letGo", root),
    );
    this.quota = new Quota({
      statistics: () => this.statistics(),
      limit: (bytes) => this.#writer.call("limit", bytes),
      collect: () => this.collect(),
      allSnapshots: () => this.allSnapshots(),
      openTurns: (id) => this.history(id).openTurns(),
      letGo: (id, sequences) => this.letGo(id, sequences),
    });
  }

  /** Opens or makes the store of a directory. ERR_LOCKED when another process has it. */
  static async open(directory: string): Promise<StoreService> {
    const service = new StoreService(directory);
    try {
      await service.#writer.call("ready");
      await service.#reader.call("ready");
    } catch (error) {
      await service.#terminate();
      throw error;
    }
    return service;
  }

  workspaces(): Promise<ListedWorkspace[]> {
    return this.#reader.call("workspaces");
  }

  workspace(id: string): Promise<WorkspaceRow | undefined> {
    return this.#reader.call("workspace", id);
  }

  async createWorkspace(row: NewWorkspace): Promise<void> {
    await this.#writer.call("createWorkspace", row);
    this.#lists.begin(row.id);
  }

  /** A new workspace over what another one has in the store; durable when it returns. */
  async fork(row: NewWorkspace, point: ForkPoint): Promise<Forked> {
    const forked = await this.#writer.call("fork", row, point);
    this.#lists.begin(row.id);
    return forked;
  }

  noteMerge(workspace: string, other: string, at: number): Promise<void> {
    return this.#writer.call("noteMerge", workspace, other, at);
  }

  bases(workspace: string): Promise<BaseRow[]> {
    return this.#reader.call("bases", workspace);
  }

  updateWorkspace(id: string, change: WorkspaceChange): Promise<void> {
    return this.#writer.call("updateWorkspace", id, change);
  }

  removeWorkspace(id: string): Promise<boolean> {
    return this.#writer.call("removeWorkspace", id).finally(() => this.#lists.forget(id));
  }

  removeSnapshot(workspace: string, sequence: number): Promise<boolean> {
    const removed = this.#writer.call("removeSnapshot", workspace, sequence);
    return removed.finally(() => this.#lists.forget(workspace));
  }

  removeSnapshots(workspace: string, sequences: readonly number[]): Promise<number> {
    const removed = this.#writer.call("removeSnapshots", workspace, sequences);
    return removed.finally(() => this.#lists.forget(workspace));
  }

  /** The same through whoever has the workspace open. */
  async letGo(workspace: string, sequences: readonly number[]): Promise<void> {
    const owner = this.owners.get(workspace);
    if (owner) await owner.remove(sequences);
    else await this.removeSnapshots(workspace, sequences);
  }

  /** Of every workspace, each oldest first. */
  async allSnapshots(): Promise<SnapshotRow[][]> {
    return Promise.all((await this.workspaces()).map(({ id }) => this.snapshots(id)));
  }

  snapshots(workspace: string): Promise<SnapshotRow[]> {
    return this.#lists.of(workspace);
  }

  /** What happened to a workspace. */
  history(workspace: string): EventBackend {
    return historyOf(workspace, this.#reader, this.#writer);
  }

  /** Makes a tree durable as the checkpoint, and as a snapshot if one is asked for. */
  async persist(tree: Tree, request: Omit<PersistRequest, "tree">): Promise<PersistResult> {
    try {
      // The tree must outlive the call, whatever its owner does with it meanwhile.
      const result = await this.#writer.call("persist", { ...request, tree: tree.handle });
      if (result.snapshot) this.#lists.add(result.snapshot);
      this.quota.note(result.storeBytes);
      return result;
    } catch (error) {
      // What was committed all the same is found by reading.
      this.#lists.forget(request.workspace);
      throw error;
    } finally {
      void tree.handle;
    }
  }

  hurry(workspace: string): Promise<void> {
    return this.#writer.call("hurry", workspace);
  }

  /** Has what is persisted for this workspace fail before it is done. */
  giveUp(workspace: string): void {
    // Best effort: a store that has ended fails it itself.
    this.#writer.call("giveUp", workspace).catch(() => undefined);
  }

  setCheckpoint(workspace: string, checkpoint: Checkpoint, back?: GoingBack): Promise<void> {
    return this.#writer.call("setCheckpoint", workspace, checkpoint, back);
  }

  /** The tree of a root, sharing with `reference` what is equal. */
  async load(root: Uint8Array, reference?: Tree): Promise<Tree> {
    return this.#loans.of(root, async () => {
      const handle = await this.#reader.call("load", root, reference?.handle);
      try {
        return Tree.attach(handle);
      } finally {
        // Not waited for: it only lets go.
        this.#reader.call("took", handle).catch(() => undefined);
      }
    });
  }

  /** Has the reader's thread answer what an engine needs. */
  async serve(engine: number, workspace: string): Promise<void> {
    await Promise.all([
      this.#writer.call("attend", engine),
      this.#reader.call("serve", engine, workspace),
    ]);
  }

  async leave(engine: number): Promise<void> {
    await this.#reader.call("leave", engine);
    await this.#writer.call("forget", engine);
  }

  /** Checks, then mends what can be, beside what goes on. */
  async repair(dryRun: boolean, onProgress?: (objects: number) => void): Promise<StoreRepair> {
    const started = performance.now();
    const { damage } = await this.checks.check(true, onProgress);
    const aside = asideOf(this.directory);
    const open = [...this.claims];
    const done = await this.#writer.call("repair", damage, { dryRun, aside, open });
    for (const { id } of await this.workspaces()) this.#lists.forget(id);
    const after = dryRun ? undefined : await this.checks.check(true, onProgress);
    const left = [...done.left, ...(after?.problems ?? [])];
    return { ...done, left, ok: left.length === 0, durationMs: performance.now() - started };
  }

  collect(): Promise<CollectionResult> {
    return this.#writer.call("collect");
  }

  statistics(): Promise<StoreStatistics> {
    return this.#writer.call("statistics");
  }

  async close(): Promise<void> {
    try {
      await this.#reader.call("close");
      await this.#writer.call("close");
    } catch (error) {
      // Nothing is lost: every commit was durable. A thread that has ended needs no close.
      if (!(error instanceof DevdevError && error.code === "ERR_STORE_CLOSED")) throw error;
    } finally {
      await this.#terminate();
    }
  }

  async #terminate(): Promise<void> {
    // Not waited for: it only reads, and SQLite's part of a check cannot be cut short.
    this.checks.terminate();
    await Promise.all([this.#reader.terminate(), this.#writer.terminate()]);
  }
}
