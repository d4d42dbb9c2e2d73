// When a log that has grown long is copied into the database: by a thread of its own, since a
// gigabyte takes seconds, and when nobody has worked for a while, since commits share the disk with
// it: a snapshot takes half as long again beside it, a restore twice as long.

import type { LogPosition } from "@devdev/store";

/** Without a commit for so long the store is quiet: where files change there is one every 2 s. */
const QUIET_MS = 5000;
/** A log waits no longer than this for such a moment. */
const PATIENCE_MS = 20_000;
/**
 * After a copy that could not be completed: somebody reads at an old moment, or the disk is full.
 */
const RETRY_MS = 10_000;

export interface CopierParts {
  /** Resolves with how far the log was written when all of it was copied. */
  copy: () => Promise<LogPosition | undefined>;
  /** Whether somebody waits for the store now. */
  isBusy: () => boolean;
  /** After each attempt: what is left of it is to be taken on again. */
  onDone: () => void;
}

export class LogCopier {
  readonly #parts: CopierParts;
  #running: Promise<void> | undefined;
  /** How far the log was written when all of it was copied. */
  #copied: LogPosition | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Since when a log waits. */
  #since: number | undefined;
  #notBefore = 0;
  #stopped = false;

  constructor(parts: CopierParts) {
    this.#parts = parts;
  }

  /** Takes on a log that is written so far, after each commit; false when there is none to copy. */
  take({ generation, written }: LogPosition): boolean {
    const copied = this.#copied;
    const isDone = copied?.generation === generation && copied.written === written;
    if (this.#stopped || isDone) return false;
    if (!this.#running) this.#wait();
    return true;
  }

  /** Takes on nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #wait(): void {
    const now = performance.now();
    this.#since ??= now;
    const quiet = Math.min(now + QUIET_MS, this.#since + PATIENCE_MS);
    clearTimeout(this.#timer);
    const delay = Math.max(0, Math.max(quiet, this.#notBefore) - now);
    this.#timer = setTimeout(() => this.#begin(), delay).unref();
  }

  #begin(): void {
    const waited = performance.now() - (this.#since ?? 0);
    if (this.#parts.isBusy() && waited < PATIENCE_MS) return this.#wait();
    this.#since = undefined;
    this.#running = this.#copy().finally(() => {
      this.#running = undefined;
      this.#parts.onDone();
    });
  }

  async #copy(): Promise<void> {
    // What was committed is safe in the log; what is wrong, `check` says.
    this.#copied = await this.#parts.copy().catch(() => undefined);
    if (!this.#copied) this.#notBefore = performance.now() + RETRY_MS;
  }
}
