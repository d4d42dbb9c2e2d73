// Keeps a store below its limit: by collecting garbage, then by removing snapshots that devdev took
// by itself, oldest first. It never holds up a write; what it cannot do it says.

import type { StoreQuota } from "@devdev/protocol";
import type { OpenTurn, SnapshotRow } from "@devdev/store";

import { sparing } from "../open-turns.js";
import { spare } from "../retention-rule.js";

/** After an attempt that did not do, the next one waits for so many bytes more, or so long. */
const MORE_BYTES = 32 << 20;
const PAUSE_MS = 60_000;

export interface QuotaStore {
  statistics(): Promise<{ bytes: number }>;
  limit(bytes?: number | null): Promise<number | undefined>;
  collect(): Promise<unknown>;
  allSnapshots(): Promise<SnapshotRow[][]>;
  openTurns(workspace: string): Promise<OpenTurn[]>;
  /** In whichever way is safe for that workspace. */
  letGo(workspace: string, sequences: readonly number[]): Promise<void>;
}

export class Quota {
  readonly #store: QuotaStore;
  #limit: number | undefined;
  #known = false;
  #failed: { bytes: number; at: number } | undefined;
  #running: Promise<SnapshotRow[]> | undefined;

  constructor(store: QuotaStore) {
    this.#store = store;
  }

  /** Sets the limit (null: none) if one is given, and keeps it. */
  async set(limit?: number | null): Promise<StoreQuota> {
    this.#limit = await this.#store.limit(limit);
    this.#known = true;
    this.#failed = undefined;
    if (limit !== undefined) await this.keep();
    return this.state();
  }

  async state(): Promise<StoreQuota> {
    if (!this.#known) this.#limit = await this.#store.limit();
    this.#known = true;
    const { bytes } = await this.#store.statistics();
    const limit = this.#limit;
    if (limit === undefined) return { bytes };
    if (bytes <= limit) return { bytes, limit };
    const nothing = (await this.#spare()).length === 0;
    const exceeded = nothing
      ? "what is left are live states, newest snapshots and those that were asked for: remove some of them, " +
        "or raise the limit"
      : "it is being brought below its limit";
    return { bytes, limit, exceeded };
  }

  /** After every commit, with what the store has then. */
  note(bytes: number): void {
    if (!this.#known) void this.state().catch(() => undefined);
    if (this.#limit === undefined || bytes <= this.#limit || this.#running) return;
    const { bytes: before, at } = this.#failed ?? { bytes: -MORE_BYTES, at: -PAUSE_MS };
    if (bytes < before + MORE_BYTES && performance.now() < at + PAUSE_MS) return;
    // A store that has ended, or is damaged, says so to whoever uses it.
    this.keep().catch(() => undefined);
  }

  /** Brings the store below its limit as far as it goes; returns what was removed. */
  keep(): Promise<SnapshotRow[]> {
    this.#running ??= this.#keep().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** What would be removed, oldest first, as far as `fits` does not say that it is enough. */
  async plan(fits: (gone: SnapshotRow[]) => Promise<boolean>): Promise<SnapshotRow[]> {
    const all = await this.#spare();
    for (let count = 0; count < all.length; count += portion(all.length - count)) {
      const gone = all.slice(0, count);
      if (await fits(gone)) return gone;
    }
    return all;
  }

  async #keep(): Promise<SnapshotRow[]> {
    const removed: SnapshotRow[] = [];
    if (await this.#fits()) return removed;
    // Each round takes a quarter of what is left: this many are more than enough.
    for (let rounds = 0; rounds < 64; rounds++) {
      await this.#store.collect();
      if (await this.#fits()) break;
      const all = await this.#spare();
      if (all.length === 0) break;
      const some = all.slice(0, portion(all.length));
      for (const [workspace, rows] of Map.groupBy(some, (row) => row.workspace)) {
        await this.#store.letGo(
          workspace,
          rows.map(({ sequence }) => sequence),
        );
      }
      removed.push(...some);
    }
    const { bytes } = await this.#store.statistics();
    const fits = await this.#fits();
    this.#failed = fits ? undefined : { bytes, at: performance.now() };
    return removed;
  }

  async #fits(): Promise<boolean> {
    if (this.#limit === undefined) return true;
    return (await this.#store.statistics()).bytes <= this.#limit;
  }

  async #spare(): Promise<SnapshotRow[]> {
    const all = (await this.#store.allSnapshots()).map(async (each) => {
      const rows = spare(each);
      const [first] = rows;
      return first ? sparing(await this.#store.openTurns(first.workspace), rows) : [];
    });
    const rows = (await Promise.all(all)).flat();
    return rows.toSorted((a, b) => a.createdAt - b.createdAt);
  }
}

/** A quarter at a time: each time the garbage has to be found anew. */
function portion(count: number): number {
  return Math.ceil(count / 4);
}
