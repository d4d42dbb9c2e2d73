// Input of a command of the daemon: never more on its way than the daemon said it has room for, so
// that a command that does not read holds up the writer, and not the signals that come behind.

import type { Duplex } from "node:stream";
import { FrameType, INPUT_WINDOW, writeFrame } from "@devdev/protocol";

const PIECE_BYTES = 256 * 1024;

interface Pending {
  bytes: Buffer;
  /** Bytes that left and are not taken yet, until `bytes` is empty and this 0. */
  underWay: number;
  resolve(): void;
  reject(error: Error): void;
}

export function brokenPipe(): Error {
  const error = new Error("EPIPE: the command no longer reads its input, write");
  return Object.assign(error, { code: "EPIPE", syscall: "write" });
}

export class RemoteInput {
  readonly #socket: Duplex;
  readonly #pending: Pending[] = [];
  #room = INPUT_WINDOW;
  #ending = false;
  #endSent = false;
  #gone: Error | undefined;
  readonly #whenIdle: Array<() => void> = [];

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Resolves when the command (or the kernel for it) has taken the bytes. */
  write(bytes: Buffer): Promise<void> {
    const refused = this.#gone ?? (this.#ending ? brokenPipe() : undefined);
    const written = refused
      ? Promise.reject<void>(refused)
      : new Promise<void>((resolve, reject) => {
          this.#pending.push({ bytes, underWay: 0, resolve, reject });
          this.#send();
        });
    // Whoever does not look at it is not brought down by its failure.
    written.catch(() => undefined);
    return written;
  }

  /** Resolves when everything before the end was taken, or never will be. */
  end(): Promise<void> {
    this.#ending = true;
    this.#send();
    if (this.#pending.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #send(): void {
    for (const pending of this.#pending) {
      while (pending.bytes.length > 0 && this.#room > 0) {
        const piece = pending.bytes.subarray(0, Math.min(this.#room, PIECE_BYTES));
        pending.bytes = pending.bytes.subarray(piece.length);
        pending.underWay += piece.length;
        this.#room -= piece.length;
        void writeFrame(this.#socket, FrameType.stdin, piece);
      }
    }
    this.#settle();
    const sent = this.#pending.every(({ bytes }) => bytes.length === 0);
    if (!this.#ending || this.#endSent || !sent || this.#gone) return;
    this.#endSent = true;
    void writeFrame(this.#socket, FrameType.stdinEnd);
  }

  /** The daemon has taken so many bytes. */
  credit(count: number): void {
    this.#room += count;
    let left = count;
    for (const pending of this.#pending) {
      const taken = Math.min(left, pending.underWay);
      pending.underWay -= taken;
      left -= taken;
    }
    this.#send();
  }

  #settle(): void {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      if (next.bytes.length > 0 || next.underWay > 0) return;
      this.#pending.shift();
      next.resolve();
    }
    this.#whenIdle.splice(0).forEach((resolve) => resolve());
  }

  /** Nobody will take any more. */
  gone(error: Error = brokenPipe()): void {
    this.#gone ??= error;
    for (const { reject } of this.#pending.splice(0)) reject(this.#gone);
    this.#settle();
  }
}
