// Brings a log that grows quickly to the disk while it grows: left alone, the system keeps
// gigabytes in memory, and the durable commit at the end waits for all of it at once, with nothing
// else to do.
//
// Nothing rests on this: a durable commit syncs the whole log. What fails here fails there, since
// the system tells each open file of an error by itself. SQLite holds no lock on the log, so a
// descriptor of it may be closed.

import { close, fdatasync, openSync } from "node:fs";

/** Of growth, between two of them. */
const EVERY = 32 << 20;

export class LogSync {
  readonly #path: string;
  #fd: number | undefined;
  #synced = 0;
  #running = false;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** After a commit that need not be durable: how large the log is now. */
  note(bytes: number): void {
    this.#synced = Math.min(this.#synced, bytes);
    if (this.#running || this.#closed || bytes - this.#synced < EVERY) return;
    try {
      this.#fd ??= openSync(this.#path, "r+");
    } catch {
      return;
    }
    this.#running = true;
    this.#synced = bytes;
    fdatasync(this.#fd, () => {
      this.#running = false;
      if (this.#closed) this.close();
    });
  }

  close(): void {
    this.#closed = true;
    if (this.#running || this.#fd === undefined) return;
    close(this.#fd, () => undefined);
    this.#fd = undefined;
  }
}
