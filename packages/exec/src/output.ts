// Output of a command on its way to one listener: kept until there is one, stopped and restarted,
// complete before the end is told. Separate because terminal and pipes differ only in how they end.
import fs from "node:fs";
import type net from "node:net";

export type OutputName = "stdout" | "stderr";
export type OutputListener = (chunk: Buffer, stream: OutputName) => void;

const READ_SIZE = 64 * 1024;
/** More than any pipe or terminal holds; a background process that floods it is not followed. */
const MAX_DRAIN = 8 * 2 ** 20;
/** How long a pipe that others still hold may take to end after the command. */
const LINGER_MS = 100;

/** Reads one stream. Errors are ends: EIO is how a terminal says so. */
export class OutputSource {
  readonly #stream: net.Socket;
  readonly #fd: number;
  readonly #deliver: (chunk: Buffer) => void;
  #ended = false;
  readonly #end: Promise<void>;

  constructor(stream: net.Socket, fd: number, deliver: (chunk: Buffer) => void) {
    this.#stream = stream;
    this.#fd = fd;
    this.#deliver = deliver;
    this.#end = new Promise((resolve) => {
      const end = () => {
        this.#ended = true;
        resolve();
      };
      stream.on("end", end).on("error", end).on("close", end);
    });
    stream.on("data", deliver);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Resolves at the end of the stream or after the linger time. */
  async linger(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, LINGER_MS)));
    await Promise.race([this.#end, limit]);
    clearTimeout(timer);
  }

  /**
   * Delivers what is there now, also while paused, and says whether the stream ended. The kernel
   * moves a terminal's bytes along within read(2), so EAGAIN is exact.
   */
  drain(): boolean {
    // read() emits "data" as well, in order before what follows.
    while (!this.#ended && this.#stream.read() !== null);
    const buffer = Buffer.allocUnsafe(READ_SIZE);
    for (let total = 0; !this.#ended && !this.#stream.destroyed && total < MAX_DRAIN;) {
      const count = readNow(this.#fd, buffer);
      if (count === "empty") return false;
      if (count === 0) break;
      total += count;
      this.#deliver(Buffer.from(buffer.subarray(0, count)));
    }
    this.#ended = true;
    return true;
  }

  close(): void {
    this.#stream.destroy();
  }

  /** Goes on reading into nothing, so that a background process is not killed by SIGPIPE. */
  discard(): void {
    this.#stream.removeAllListeners("data");
    this.#stream.unref();
    this.#stream.resume();
  }
}

function readNow(fd: number, buffer: Buffer): number | "empty" {
  try {
    return fs.readSync(fd, buffer);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN") return "empty";
    // All slave ends of a terminal are closed.
    if (code === "EIO") return 0;
    throw error;
  }
}

/** Keeps chunks in order between sources and the one listener. */
export class OutputQueue {
  readonly #sources: OutputSource[] = [];
  readonly #chunks: [Buffer, OutputName][] = [];
  #listener: OutputListener | undefined;
  #paused = false;
  #whenEmpty: (() => void) | undefined;

  add(stream: net.Socket, fd: number, name: OutputName): void {
    this.#sources.push(new OutputSource(stream, fd, (chunk) => this.#push(chunk, name)));
  }

  /** Stops the sources until there is a listener; the pipes and the terminal hold the rest. */
  hold(): void {
    this.#flow();
  }

  listen(listener: OutputListener): void {
    this.#listener = listener;
    this.#flow();
  }

  pause(): void {
    this.#paused = true;
    this.#flow();
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  /** Takes over all that the command has left in its streams; `terminal` closes them for good. */
  async finish(terminal: boolean): Promise<void> {
    if (!terminal) await Promise.all(this.#sources.map((source) => source.linger()));
    for (const source of this.#sources) {
      if (source.drain() || terminal) source.close();
      else source.discard();
    }
  }

  /** Resolves when the listener has everything. Without a listener the rest is dropped. */
  async delivered(): Promise<void> {
    if (this.#listener === undefined) this.listen(() => {});
    if (this.#chunks.length === 0) return;
    await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
  }

  #push(chunk: Buffer, name: OutputName): void {
    this.#chunks.push([chunk, name]);
    this.#flow();
  }

  #flow(): void {
    while (this.#listener && !this.#paused) {
      const next = this.#chunks.shift();
      if (next === undefined) break;
      this.#listener(...next);
    }
    const hold = this.#paused || this.#listener === undefined;
    for (const source of this.#sources) {
      if (hold) source.pause();
      else source.resume();
    }
    if (this.#chunks.length === 0) this.#whenEmpty?.();
  }
}
