// Keeps as many snapshots of a workspace as its rule says, and removes those that somebody names.
// Apart from the timeline, which takes and restores them: both have the workspace's mutex, so no
// snapshot goes while it is being taken or restored.

import { DevdevError } from "@devdev/errno";
import type { RetentionChange, RetentionRule, SnapshotInfo } from "@devdev/protocol";

import type { Keeper } from "./keeper.js";
import type { Mutex } from "./mutex.js";
import { sparing } from "./open-turns.js";
import type { WorkspaceParts } from "./parts.js";
import { changedRule, doomedBy } from "./retention-rule.js";
import { findSnapshot } from "./snapshot-names.js";

/** How often snapshots are looked for that have become too old. */
const LOOK_MS = 60_000;

export class Retention {
  readonly #parts: WorkspaceParts;
  readonly #keeper: Keeper;
  readonly #mutex: Mutex;
  readonly #publish: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #rule: RetentionRule;
  #closed = false;

  /** `publish` shows the snapshots that there are. */
  constructor(parts: WorkspaceParts, mutex: Mutex, publish: () => Promise<void>) {
    this.#parts = parts;
    this.#keeper = parts.keeper;
    this.#mutex = mutex;
    this.#publish = publish;
    this.#rule = parts.retention ?? {};
    this.#timer = setInterval(() => this.#soon(), LOOK_MS).unref();
    parts.keeper.owner = {
      added: () => this.#soon(),
      // A command may have begun since they were chosen.
      remove: (sequences) =>
        this.#alone(async () => {
          const all = await this.#spared(sequences.map((sequence) => ({ sequence })));
          await this.#remove(all.map(({ sequence }) => sequence));
        }),
    };
  }

  get rule(): RetentionRule {
    return { ...this.#rule };
  }

  /** Changes the rule and applies it. */
  async change(change: RetentionChange): Promise<RetentionRule> {
    const rule = changedRule(this.#rule, change);
    await this.#parts.keepOptions?.({ retention: rule });
    this.#rule = rule;
    await this.apply();
    return this.rule;
  }

  /** Removes what the rule does not keep. */
  apply(): Promise<SnapshotInfo[]> {
    return this.#alone(async () => {
      const all = await this.#keeper.snapshots();
      const doomed = await this.#spared(doomedBy(this.#rule, all, this.#parts.now()));
      await this.#remove(doomed.map(({ sequence }) => sequence));
      return doomed;
    });
  }

  /** Removes those that are meant, all or none. */
  remove(refs: ReadonlyArray<string | number>): Promise<SnapshotInfo[]> {
    return this.#alone(async () => {
      const all = await this.#keeper.snapshots();
      const meant = new Set(refs.map((ref) => findSnapshot(all, ref)));
      await this.#remove([...meant].map(({ sequence }) => sequence));
      return [...meant];
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new DevdevError("ERR_CLOSED", "the workspace is closed");
    return this.#mutex.run(work);
  }

  /** Without what commands need that are being recorded. */
  async #spared<S extends { sequence: number }>(snapshots: readonly S[]): Promise<S[]> {
    if (snapshots.length === 0) return [];
    return sparing(await this.#keeper.history.openTurns(), snapshots);
  }

  async #remove(sequences: readonly number[]): Promise<void> {
    if (sequences.length === 0) return;
    await this.#keeper.removeSnapshots(sequences);
    await this.#publish();
  }

  /** After what is under way; nobody waits for it. */
  #soon(): void {
    const { keepLast, keepYoungerMs } = this.#rule;
    if (this.#closed || (keepLast ?? keepYoungerMs) === undefined) return;
    const { log, name } = this.#parts;
    this.apply().catch((err: unknown) =>
      log?.warn({ workspace: name, err }, "old snapshots could not be removed; it is tried again"),
    );
  }
}
