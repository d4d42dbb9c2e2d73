// The Workspace of this process: the face over engine, mount, commands, snapshots and checkpoints.
// It decides nothing but the order in which they come and go.

import { argumentError } from "@devdev/errno";
import { collectOutput } from "@devdev/protocol";
import type {
  Autosnapshot,
  ExecOptions,
  ExecProcess,
  ExecRecord,
  ExecResult,
  ExecWord,
  ForkOptions,
  HostMountOptions,
  MergeOptions,
  MergeResult,
  StatsOptions,
  Workspace as WorkspaceInterface,
  WorkspaceFs,
  WorkspaceOptions,
  WorkspaceSettings,
  WorkspaceStats,
  WorkspaceUsage,
} from "@devdev/protocol";
import type { ImportSource } from "@devdev/vfs";

import { checkpointerOf } from "./checkpointer.js";
import { end } from "./closing.js";
import { Commands } from "./commands.js";
import { noteDamage } from "./damage.js";
import { Figures } from "./figures.js";
import { forkOf } from "./forking.js";
import { importedParts, newParts, reopenedParts } from "./making.js";
import type { Importing, ReopenOptions } from "./making.js";
import { Mounting, mountLogOf } from "./mounting.js";
import { Mutex } from "./mutex.js";
import { type MergeSide, merged } from "./merging.js";
import { checkAutosnapshot, defined, type ForkNaming, type WorkspaceParts } from "./parts.js";
import { WorkspaceStates } from "./states.js";
import type { StartedProcess } from "./turns.js";

export class Workspace extends WorkspaceStates implements WorkspaceInterface {
  readonly id: string;
  readonly name: string;
  readonly fs: WorkspaceFs;
  readonly #parts: WorkspaceParts;
  readonly #commands: Commands;
  readonly #mounting: Mounting;
  readonly #side: MergeSide;
  readonly #figures: Figures;
  #autosnapshot: Autosnapshot;
  #closing: Promise<void> | undefined;

  /** For who has an engine and a keeper; else see `create`. */
  constructor(parts: WorkspaceParts) {
    const commands = new Commands();
    const mutex = new Mutex();
    const checkpointer = checkpointerOf(parts, mutex, () => commands.busy);
    super({ ...parts, mutex, checkpointer, commands });
    const { vfs, keeper, now } = parts;
    noteDamage(parts);
    this.#parts = parts;
    this.id = parts.id;
    this.name = parts.name;
    this.fs = vfs.fs;
    this.#commands = commands;
    this.#autosnapshot = parts.autosnapshot ?? "off";
    this.#mounting = new Mounting({
      ...parts,
      sync: () => checkpointer.sync(),
      onLog: mountLogOf(parts),
    });
    const states = { vfs, keeper, mutex, checkpointer, commands, now };
    this.#side = { ...states, timeline: this.timeline, id: parts.id, name: parts.name };
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

  /** Why it is mounted classic although io_uring was to be used. */
  get whyClassic(): string | undefined {
    return this.#mounting.whyClassic;
  }

  async mount(path?: string, options: HostMountOptions = {}): Promise<string> {
    const { autosnapshot, ...mounting } = options;
    const at = await this.#mounting.mount(path, mounting);
    await this.configure(defined({ autosnapshot }));
    return at;
  }

  get autosnapshot(): Autosnapshot {
    return this.#autosnapshot;
  }

  async configure({ autosnapshot }: WorkspaceSettings): Promise<Required<WorkspaceSettings>> {
    if (autosnapshot !== undefined && autosnapshot !== this.#autosnapshot) {
      checkAutosnapshot(autosnapshot);
      await this.#parts.keepOptions?.({ autosnapshot });
      this.#autosnapshot = autosnapshot;
    }
    return { autosnapshot: this.#autosnapshot };
  }

  async unmount(options: { force?: boolean } = {}): Promise<void> {
    this.#mounting.need("be unmounted");
    if (options.force) await this.#commands.end();
    await this.turns.settle();
    await this.#mounting.unmount(options);
    // What mappings held has come in with the unmount; it is durable when this returns.
    await this.timeline.checkpoint();
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
    const mountPoint = this.#mounting.need("run commands");
    const argv = [file, ...args];
    const start = (): Promise<StartedProcess> => this.#commands.spawn(mountPoint, argv, options);
    const record = options.snapshot ?? this.#autosnapshot === "exec";
    return record ? this.turns.record(argv, options, start) : start();
  }

  async processes(): Promise<ExecRecord[]> {
    return this.#commands.list();
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

  async usage(): Promise<WorkspaceUsage> {
    return this.#figures.usage();
  }

  async stats(options: StatsOptions = {}): Promise<WorkspaceStats> {
    return this.#figures.stats(options);
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

  /**
   * Shows the snapshots that there are below `.devdev/snapshots`, and ends the turns that a process
   * which died has left: to be called once after the making.
   */
  async publish(): Promise<void> {
    if (this.#parts.isNew) return;
    await this.timeline.publish();
    await this.turns.recover();
  }

  #end(keep: boolean): Promise<void> {
    this.keeping.close();
    const { turns } = this;
    return end({ parts: this.#parts, mounting: this.#mounting, turns, ...this.#side }, keep);
  }
}

async function finished(parts: WorkspaceParts): Promise<Workspace> {
  const workspace = new Workspace(parts);
  await workspace.publish();
  return workspace;
}
