// What reads a whole store: each in a thread of its own for as long as it takes, at one moment.

import type { StoreStats } from "@devdev/protocol";
import type { Measured, SnapshotRow } from "@devdev/store";

import { WorkerCalls } from "./calls.js";
import type { CheckedDamage, CheckerCalls } from "./interface.js";

type Named = Pick<SnapshotRow, "workspace" | "sequence">;

export class StoreChecks {
  readonly #directory: string;
  readonly #running = new Set<WorkerCalls<CheckerCalls>>();
  readonly #checking = new Map<boolean, Promise<CheckedDamage>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Who asks for the same while one is under way gets its report. */
  check(deep = true, onProgress?: (objects: number) => void): Promise<CheckedDamage> {
    const running = this.#checking.get(deep);
    if (running) return running;
    const own = this.#reading((checker) => checker.call("check", deep), onProgress);
    this.#checking.set(deep, own);
    return own.finally(() => this.#checking.delete(deep));
  }

  stats(): Promise<StoreStats> {
    return this.#reading((checker) => checker.call("stats"));
  }

  /** What a collection would keep and give back without these snapshots. */
  measure(without: readonly Named[]): Promise<Measured> {
    const rows = without.map(({ workspace, sequence }) => ({ workspace, sequence }));
    return this.#reading((checker) => checker.call("measure", rows));
  }

  /** Not waited for: they only read, and SQLite's part of a check cannot be cut short. */
  terminate(): void {
    for (const checker of this.#running) void checker.terminate();
  }

  async #reading<T>(
    work: (checker: WorkerCalls<CheckerCalls>) => Promise<T>,
    progress?: (objects: number) => void,
  ): Promise<T> {
    const directory = this.#directory;
    const url = new URL("./checker.js", import.meta.url);
    const checker = new WorkerCalls<CheckerCalls>(url, { directory }, { progress });
    this.#running.add(checker);
    try {
      return await work(checker);
    } finally {
      this.#running.delete(checker);
      await checker.terminate();
    }
  }
}
