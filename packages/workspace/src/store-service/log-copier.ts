// A log that has grown long is copied into the database by a thread of its own: a gigabyte takes
// seconds, for which no commit should have to wait.

import { WorkerCalls } from "./calls.js";
import type { CopierCalls } from "./interface.js";

/**
 * After a copy that could not be completed: somebody reads at an old moment, or the disk is full.
 */
const RETRY_MS = 10_000;

export class LogCopier {
  readonly #directory: string;
  #running: Promise<void> | undefined;
  /** The size of the log when all of it was copied. */
  #copied: number | undefined;
  #notBefore = 0;
  #stopped = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Settles when nothing is being copied any more; undefined when that is so now. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** Takes on a log of this size; false when all of it was copied, and little is left to do. */
  take(bytes: number): boolean {
    if (this.#stopped || bytes === this.#copied) return false;
    if (!this.#running && performance.now() >= this.#notBefore) {
      this.#running = this.#copy().finally(() => {
        this.#running = undefined;
      });
    }
    return true;
  }

  /** Takes on nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #copy(): Promise<void> {
    const url = new URL("./copier.js", import.meta.url);
    const copier = new WorkerCalls<CopierCalls>(url, { directory: this.#directory });
    try {
      this.#copied = await copier.call("copy");
    } catch {
      // What was committed is safe in the log; what is wrong, `check` says.
      this.#copied = undefined;
    } finally {
      await copier.terminate();
    }
    if (this.#copied === undefined) this.#notBefore = performance.now() + RETRY_MS;
  }
}
