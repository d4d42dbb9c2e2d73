// The store of a data directory as its host offers it: how full it is, what can go, whether it is
// whole.

import type { GcResult, StoreCheck, StoreQuota, StoreRepair, StoreStats } from "@devdev/protocol";

import { collectGarbage, type GcOptions } from "./gc.js";
import type { StoreService } from "./store-service/store-service.js";

type OnProgress = (objects: number) => void;

export class HostStore {
  readonly #store: StoreService;

  constructor(store: StoreService) {
    this.#store = store;
  }

  /** Applies the rules of all workspaces and the limit, then collects; or says what that does. */
  gc(options: GcOptions = {}): Promise<GcResult> {
    return collectGarbage(this.#store, options);
  }

  /** `limit` changes how full the store should be (null: as it comes). */
  quota(limit?: number | null): Promise<StoreQuota> {
    return limit === undefined ? this.#store.quota.state() : this.#store.quota.set(limit);
  }

  /** `deep`: reads and hashes all blocks, too. */
  async check(options: { deep?: boolean; onProgress?: OnProgress } = {}): Promise<StoreCheck> {
    const { deep = false, onProgress } = options;
    const { damage: _, ...report } = await this.#store.checks.check(deep, onProgress);
    return report;
  }

  repair(options: { dryRun?: boolean; onProgress?: OnProgress } = {}): Promise<StoreRepair> {
    return this.#store.repair(options.dryRun ?? false, options.onProgress);
  }

  stats(): Promise<StoreStats> {
    return this.#store.checks.stats();
  }
}
