// The part of a Workspace that is about its states in time: snapshots, the history, going back and
// forth in it, comparing, exporting.

import { argumentError } from "@devdev/errno";
import type {
  DiffOptions,
  DiffPiece,
  DiffResult,
  HistoryEvent,
  LogOptions,
  RestoreOptions,
  RestoreResult,
  RetentionChange,
  RetentionRule,
  ShowOptions,
  ShownEvent,
  ShownPiece,
  Snapshot,
  SnapshotInfo,
  SnapshotOptions,
  SnapshotResult,
  TravelOptions,
  TravelResult,
  UndoOptions,
} from "@devdev/protocol";
import type { TarExport, Tree, Vfs } from "@devdev/vfs";

import { comparedAgainst, type Comparable, refuseBeside } from "./against.js";
import type { Commands } from "./commands.js";
import type { Comparison } from "./comparison.js";
import { type ExportOptions, writeExport } from "./export-file.js";
import type { Relative } from "./forking.js";
import { HistoryView } from "./history-view.js";
import type { WorkspaceParts } from "./parts.js";
import { Retention } from "./retention.js";
import { PathTravel } from "./path-travel.js";
import { withBytes } from "./snapshot-bytes.js";
import { Timeline, type TimelineParts } from "./timeline.js";
import { Travel } from "./travel.js";
import { Turns } from "./turns.js";

export abstract class WorkspaceStates {
  protected readonly timeline: Timeline;
  protected readonly turns: Turns;
  protected readonly keeping: Retention;
  readonly #travel: Travel;
  readonly #paths: PathTravel;
  readonly #view: HistoryView;
  readonly #commands: Commands;
  readonly #relative: Relative;
  readonly #vfs: Vfs;

  protected constructor(parts: TimelineParts & WorkspaceParts) {
    this.timeline = new Timeline(parts);
    this.keeping = new Retention(parts, parts.mutex, () => this.timeline.publish());
    this.#travel = new Travel(parts, this.timeline);
    this.#paths = new PathTravel(parts, this.timeline, this.#travel);
    this.turns = new Turns({ ...parts, timeline: this.timeline, travel: this.#travel });
    this.#view = new HistoryView(parts);
    this.#commands = parts.commands;
    const { id, name, keeper } = parts;
    this.#relative = { id, name, keeper };
    this.#vfs = parts.vfs;
  }

  async snapshot(options: SnapshotOptions = {}): Promise<SnapshotResult> {
    const { durationMs, pauseMs, filesChanged, ...info } = await this.timeline.snapshot(options);
    return { ...withBytes(this.timeline, info), durationMs, pauseMs, filesChanged };
  }

  async snapshots(): Promise<Snapshot[]> {
    return (await this.timeline.snapshots()).map((info) => withBytes(this.timeline, info));
  }

  removeSnapshots(refs: ReadonlyArray<string | number>): Promise<SnapshotInfo[]> {
    return this.keeping.remove(refs);
  }

  async retention(change?: RetentionChange): Promise<RetentionRule> {
    return change ? this.keeping.change(change) : this.keeping.rule;
  }

  async restore(ref: string | number, options: RestoreOptions = {}): Promise<RestoreResult> {
    if (options.kill) await this.#endFirst();
    const { paths, ...rest } = options;
    if (paths) return this.#paths.restore(ref, paths, rest);
    return this.#travel.restore(ref, rest);
  }

  log(options: LogOptions = {}): Promise<HistoryEvent[]> {
    return this.#view.log(options);
  }

  show(turn?: number, options: ShowOptions = {}): Promise<ShownEvent> {
    return this.#view.show(turn, options);
  }

  /** The same as it comes, the event first. */
  showPieces(turn?: number, options: ShowOptions = {}): AsyncGenerator<ShownPiece> {
    return this.#view.pieces(turn, options);
  }

  async undo(options: UndoOptions = {}): Promise<TravelResult> {
    if (options.kill) await this.#endFirst();
    const { paths, ...rest } = options;
    if (paths) return this.#paths.undo(paths, rest);
    return this.#travel.undo(rest);
  }

  async redo(options: TravelOptions = {}): Promise<TravelResult> {
    if (options.kill) await this.#endFirst();
    return this.#travel.redo(options);
  }

  async diff(a?: string, b?: string, options: DiffOptions = {}): Promise<DiffResult> {
    using compared = await this.#compared(a, b, options);
    return await compared.result(options);
  }

  /** The same as it comes: there may be millions of entries. */
  async *diffPieces(a?: string, b?: string, options: DiffOptions = {}): AsyncGenerator<DiffPiece> {
    using compared = await this.#compared(a, b, options);
    yield* compared.pieces(options);
  }

  async *patch(a?: string, b?: string, options: DiffOptions = {}): AsyncGenerator<Buffer> {
    using compared = await this.#compared(a, b, options);
    yield* compared.patch(options);
  }

  async #compared(
    a: string | undefined,
    b: string | undefined,
    options: DiffOptions,
  ): Promise<Comparison> {
    const { against } = options;
    if (!against) return this.timeline.compared(a, b, options);
    refuseBeside(b, options);
    const { workspace: there, snapshot: from } = against;
    if (!(there instanceof WorkspaceStates)) {
      const message = "another workspace to compare with is one of this process";
      throw argumentError("TypeError", "ERR_INVALID_ARG_TYPE", message);
    }
    const between = { here: this.#comparable(), to: a, there: there.#comparable(), from };
    return comparedAgainst(between, options);
  }

  #comparable(): Comparable {
    return { ...this.#relative, timeline: this.timeline };
  }

  /** What an event (default: the last command) changed, as a patch piece by piece. */
  async *patchOf(event?: number, options: { binary?: boolean } = {}): AsyncGenerator<Buffer> {
    using compared = await this.#view.compared(event);
    yield* compared.patch(options);
  }

  /** Writes a snapshot (default: the live state) to a file, complete or not at all. */
  async exportTo(
    file: string,
    options: ExportOptions & { ref?: string | number } = {},
  ): Promise<{ id: string; bytes: number; skipped: number }> {
    const { tree, id, meta } = await this.timeline.exported(options.ref);
    using exported: Tree = tree;
    return { id, ...(await writeExport(exported, meta, file, options)) };
  }

  /** The same piece by piece; `tar`: as a tar archive. */
  async *exportPieces(ref?: string | number, tar?: TarExport): AsyncGenerator<Buffer> {
    const { tree, meta } = await this.timeline.exported(ref);
    using exported: Tree = tree;
    yield* exported.pieces(meta, tar);
  }

  checkpoint(): Promise<void> {
    return this.timeline.checkpoint();
  }

  /** The live state, for who brings back something like it; the caller disposes of it. */
  lend(): Tree {
    return this.#vfs.freeze();
  }

  /** Ends commands that are to be killed before their turns would find another state. */
  async #endFirst(): Promise<void> {
    await this.#commands.end();
    await this.turns.settle();
  }
}
