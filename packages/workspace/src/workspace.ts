// The Workspace of this process: the face over engine, mount, commands, snapshots and checkpoints.
// It decides nothing but the order in which they come and go.

import { argumentError } from "@devdev/errno";
import { collectOutput } from "@devdev/protocol";
import type { DiffOptions, DiffResult, ExecOptions, ExecProcess } from "@devdev/protocol";
import type { ExecRecord, ExecResult, ExecWord, ForkOptions } from "@devdev/protocol";
import type { HostMountOptions, MergeOptions, MergeResult, RestoreOptions } from "@devdev/protocol";
import type { RestoreResult, RetentionChange, RetentionRule, Snapshot } from "@devdev/protocol";
import type { SnapshotInfo, SnapshotOptions, SnapshotResult, StatsOptions } from "@devdev/protocol";
import type { Workspace as WorkspaceInterface, WorkspaceFs } from "@devdev/protocol";
import type { WorkspaceOptions, WorkspaceStats, WorkspaceUsage } from "@devdev/protocol";
import type { ImportSource, TarExport, Tree } from "@devdev/vfs";

import { checkpointerOf } from "./checkpointer.js";
import { end } from "./closing.js";
import { Commands } from "./commands.js";
import { writeExport } from "./export-file.js";
import type { ExportOptions } from "./export-file.js";
import { Figures } from "./figures.js";
import { forkOf } from "./forking.js";
import { importedParts, newParts, reopenedParts } from "./making.js";
import type { Importing, ReopenOptions } from "./making.js";
import { Mounting, mountLogOf } from "./mounting.js";
import { Mutex } from "./mutex.js";
import { type MergeSide, merged } from "./merging.js";
import type { ForkNaming, WorkspaceParts } from "./parts.js";
import { Retention } from "./retention.js";
import { withBytes } from "./snapshot-bytes.js";
import { Timeline } from "./timeline.js";

export class Workspace implements WorkspaceInterface {
  readonly id: string;
  readonly name: string;
  readonly fs: WorkspaceFs;
  readonly #parts: WorkspaceParts;
  readonly #commands = new Commands();
  readonly #mounting: Mounting;
  readonly #timeline: Timeline;
  readonly #retention: Retention;
  readonly #side: MergeSide;
  readonly #figures: Figures;
  #closing: Promise<void> | undefined;

  /** For who has an engine and a keeper; else see `create`. */
  constructor(parts: WorkspaceParts) {
    const { vfs, keeper, now } = parts;
    this.#parts = parts;
    this.id = parts.id;
    this.name = parts.name;
    this.fs = vfs.fs;
    const [commands, mutex] = [this.#commands, new Mutex()];
    const checkpointer = checkpointerOf(parts, mutex, () => commands.busy);
    this.#mounting = new Mounting({
      ...parts,
      sync: () => checkpointer.sync(),
      onLog: mountLogOf(parts),
    });
    const states = { vfs, keeper, mutex, checkpointer, commands, now };
    this.#timeline = new Timeline(states);
    this.#side = { ...states, timeline: this.#timeline, id: parts.id, name: parts.name };
    this.#retention = new Retention(parts, mutex, () => this.publish());
    this.#figures = new Figures(parts, this.#mounting, checkpointer);
    if (keeper.durable) checkpointer.start();
  }

  /** A new workspace: in memory, or kept in the store of `dataDir`. */
  static async create(options: WorkspaceOptions = {}): Promise<Workspace> {
    return finished(await newParts(options));
  }

  /** A workspace of the store of a data directory, by name or id, as it was last kept. */
  static async open(name: string, options: ReopenOptions): Promise<Workspace> {
    return finished(await reopenedParts(name, options));
  }

  /** From what `Snapshot.toBytes` gave, with that one snapshot; its name: given, or random. */
  static async fromBytes(bytes: ImportSource, options: Importing = {}): Promise<Workspace> {
    return finished(await importedParts(bytes, options));
  }

  /** A new workspace from an exported file. */
  static async importFrom(file: string, options: Importing = {}): Promise<Workspace> {
    return finished(await importedParts(file, options));
  }

  get mountPoint(): string | undefined {
    return this.#mounting.path;
  }

  get writeback(): boolean {
    return this.#mounting.writeback;
  }

  get transport(): WorkspaceInterface["transport"] {
    return this.#mounting.transport;
  }

  mount(path?: string, options: HostMountOptions = {}): Promise<string> {
    return this.#mounting.mount(path, options);
  }

  async unmount(options: { force?: boolean } = {}): Promise<void> {
    this.#mounting.need("be unmounted");
    if (options.force) await this.#commands.end();
    await this.#mounting.unmount(options);
    // What mappings held has come in with the unmount; it is durable when this returns.
    await this.#timeline.checkpoint();
  }

  async exec(
    file: ExecWord,
    args: readonly ExecWord[] = [],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    return collectOutput(await this.spawn(file, args, options), options);
  }

  async spawn(
    file: ExecWord,
    args: readonly ExecWord[] = [],
    options: ExecOptions = {},
  ): Promise<ExecProcess> {
    return this.#commands.spawn(this.#mounting.need("run commands"), [file, ...args], options);
  }

  async processes(): Promise<ExecRecord[]> {
    return this.#commands.list();
  }

  async snapshot(options: SnapshotOptions = {}): Promise<SnapshotResult> {
    const { durationMs, pauseMs, filesChanged, ...info } = await this.#timeline.snapshot(options);
    return { ...withBytes(this.#timeline, info), durationMs, pauseMs, filesChanged };
  }

  async snapshots(): Promise<Snapshot[]> {
    return (await this.#timeline.snapshots()).map((info) => withBytes(this.#timeline, info));
  }

  removeSnapshots(refs: ReadonlyArray<string | number>): Promise<SnapshotInfo[]> {
    return this.#retention.remove(refs);
  }

  async retention(change?: RetentionChange): Promise<RetentionRule> {
    return change ? this.#retention.change(change) : this.#retention.rule;
  }

  restore(ref: string | number, options: RestoreOptions = {}): Promise<RestoreResult> {
    return this.#timeline.restore(ref, options);
  }

  async diff(a?: string, b?: string, options: DiffOptions = {}): Promise<DiffResult> {
    using compared = await this.#timeline.compared(a, b, options);
    return await compared.result(options);
  }

  async *patch(a?: string, b?: string, options: DiffOptions = {}): AsyncGenerator<Buffer> {
    using compared = await this.#timeline.compared(a, b, options);
    yield* compared.patch(options);
  }

  async fork(name?: string, options: ForkOptions = {}): Promise<Workspace> {
    return finished(await this.forkParts(options, name === undefined ? {} : { name }));
  }

  /** For who makes a workspace of them in its own way. */
  forkParts(options: ForkOptions, naming: ForkNaming): Promise<WorkspaceParts> {
    return forkOf({ ...this.#side, fork: this.#parts.fork }, options, naming);
  }

  merge(fork: WorkspaceInterface, options: MergeOptions = {}): Promise<MergeResult> {
    if (fork instanceof Workspace) return merged(this.#side, fork.#side, options);
    throw argumentError("TypeError", "ERR_INVALID_ARG_TYPE", "a fork is one of this process");
  }

  /** Writes a snapshot (default: the live state) to a file, complete or not at all. */
  async exportTo(
    file: string,
    options: ExportOptions & { ref?: string | number } = {},
  ): Promise<{ id: string; bytes: number; skipped: number }> {
    const { tree, id, meta } = await this.#timeline.exported(options.ref);
    using exported: Tree = tree;
    return { id, ...(await writeExport(exported, meta, file, options)) };
  }

  /** The same piece by piece; `tar`: as a tar archive. */
  async *exportPieces(ref?: string | number, tar?: TarExport): AsyncGenerator<Buffer> {
    const { tree, meta } = await this.#timeline.exported(ref);
    using exported: Tree = tree;
    yield* exported.pieces(meta, tar);
  }

  async usage(): Promise<WorkspaceUsage> {
    return this.#figures.usage();
  }

  async stats(options: StatsOptions = {}): Promise<WorkspaceStats> {
    return this.#figures.stats(options);
  }

  checkpoint(): Promise<void> {
    return this.#timeline.checkpoint();
  }

  /** Ends what still runs in it, unmounts it (by force), makes its state durable. */
  close(): Promise<void> {
    this.#closing ??= this.#end(true);
    return this.#closing;
  }

  /** The same, but what was changed since the last checkpoint may be lost. */
  discard(): Promise<void> {
    this.#closing ??= this.#end(false);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Shows the snapshots that there are below `.devdev/snapshots`: once after the making. */
  publish(): Promise<void> {
    return this.#timeline.publish();
  }

  #end(keep: boolean): Promise<void> {
    this.#retention.close();
    return end({ parts: this.#parts, mounting: this.#mounting, ...this.#side }, keep);
  }
}

async function finished(parts: WorkspaceParts): Promise<Workspace> {
  const workspace = new Workspace(parts);
  await workspace.publish();
  return workspace;
}
