// Input of a command. Separate because a terminal and a pipe take and end it differently.
import fs from "node:fs";
import type net from "node:net";

/** Where the input of a command goes. After `close` or `end` writes are refused with EPIPE. */
export interface InputSink {
  /** Resolves when the kernel has the bytes. */
  write(bytes: Buffer): Promise<void>;
  /** Resolves when everything before the end is taken, or will never be. */
  end(): Promise<void>;
  close(): void;
}

export function brokenPipe(cause?: unknown): Error {
  const error = new Error("EPIPE: the command no longer reads its input, write", { cause });
  return Object.assign(error, { code: "EPIPE", syscall: "write" });
}

export class PipeInput implements InputSink {
  readonly #stream: net.Socket;

  constructor(stream: net.Socket) {
    this.#stream = stream;
    // Whoever writes is told; the event is nobody's.
    stream.on("error", () => {});
  }

  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stream.writableEnded) reject(brokenPipe());
      else this.#stream.write(bytes, (cause) => (cause ? reject(brokenPipe(cause)) : resolve()));
    });
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.closed) resolve();
      else this.#stream.once("close", resolve).end(resolve);
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}

const NEWLINE = 0x0a;
/** Ctrl-D. */
const EOT = Buffer.from([4]);
const MAX_RETRY_MS = 16;

interface Pending {
  bytes: Buffer;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * Writes to the master end by itself: libuv takes every master for a blocking stream and spins on
 * EAGAIN, and a blocking write would hold the event loop until the command reads. There is nothing
 * to wait on but time, so what does not fit is tried again, at growing intervals.
 */
export class TerminalInput implements InputSink {
  readonly #fd: number;
  readonly #queue: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #retryMs = 1;
  #refused = false;
  #midLine = false;

  /** The descriptor stays the caller's, who closes this sink first. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  write(bytes: Buffer): Promise<void> {
    if (this.#refused) return Promise.reject(brokenPipe());
    const last = bytes.at(-1);
    if (last !== undefined) this.#midLine = last !== NEWLINE;
    return this.#enqueue(bytes);
  }

  /** Ctrl-D; in the middle of a line the first one only hands over what was typed. */
  async end(): Promise<void> {
    if (this.#refused) return;
    this.#refused = true;
    // A rejection means that the command ended first, which is an end as well.
    await this.#enqueue(this.#midLine ? Buffer.concat([EOT, EOT]) : EOT).catch(() => {});
  }

  close(): void {
    this.#refused = true;
    clearTimeout(this.#timer);
    for (const { reject } of this.#queue.splice(0)) reject(brokenPipe());
  }

  #enqueue(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ bytes, resolve, reject });
      if (this.#timer === undefined) this.#flush();
    });
  }

  #flush(): void {
    this.#timer = undefined;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const count = writeNow(this.#fd, next.bytes);
      this.#retryMs = count > 0 ? 1 : Math.min(this.#retryMs * 2, MAX_RETRY_MS);
      next.bytes = next.bytes.subarray(count);
      if (next.bytes.length > 0) {
        this.#timer = setTimeout(() => this.#flush(), this.#retryMs);
        return;
      }
      this.#queue.shift();
      next.resolve();
    }
  }
}

/** How many bytes the terminal took. */
function writeNow(fd: number, bytes: Buffer): number {
  try {
    return bytes.length === 0 ? 0 : fs.writeSync(fd, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
    throw error;
  }
}
