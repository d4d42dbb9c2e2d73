// Reads the daemon's log files, which rotate while they are read: daemon.1.log, daemon.2.log, ...

import { watch } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

const PIECE_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Where a reader is: in which file, after how many bytes. */
interface Place {
  number: number;
  offset: number;
}

export class LogReader {
  readonly #directory: string;
  #place: Place = { number: 0, offset: 0 };
  #rest = Buffer.alloc(0);

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The last `count` lines of the log, oldest first; `follow` goes on behind them. */
  async last(count: number): Promise<string[]> {
    const lines: string[] = [];
    await this.#read(async (line) => {
      lines.push(line);
      if (lines.length > count) lines.shift();
    });
    return lines;
  }

  /** Calls `emit` with each line that is added, one at a time, until the signal aborts. */
  async follow(emit: (line: string) => Promise<void>, signal: AbortSignal): Promise<void> {
    let wake: () => void = () => undefined;
    let changed = true;
    const wakened = (): void => {
      changed = true;
      wake();
    };
    const watcher = watch(this.#directory, wakened);
    signal.addEventListener("abort", wakened, { once: true });
    try {
      while (!signal.aborted) {
        if (!changed) await new Promise<void>((resolve) => (wake = resolve));
        changed = false;
        await this.#read((line) => (signal.aborted ? Promise.resolve() : emit(line)));
      }
    } finally {
      watcher.close();
    }
  }

  /** All complete lines after the place where the last reading ended. */
  async #read(emit: (line: string) => Promise<void>): Promise<void> {
    for (const number of await this.#numbers()) {
      if (number < this.#place.number) continue;
      if (number > this.#place.number) {
        this.#place = { number, offset: 0 };
        this.#rest = Buffer.alloc(0);
      }
      await this.#readFile(emit);
    }
  }

  async #readFile(emit: (line: string) => Promise<void>): Promise<void> {
    const file = await open(this.#path(this.#place.number)).catch((error: unknown) => {
      // Rotated away since the directory was listed.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    });
    if (!file) return;
    await using reading = file;
    const buffer = Buffer.allocUnsafe(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await reading.read(buffer, 0, buffer.length, this.#place.offset);
      if (bytesRead === 0) return;
      this.#place.offset += bytesRead;
      let bytes = Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]);
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE)) {
        const line = bytes.toString("utf8", 0, end);
        bytes = bytes.subarray(end + 1);
        await emit(line);
      }
      this.#rest = bytes;
    }
  }

  async #numbers(): Promise<number[]> {
    const names = await readdir(this.#directory);
    const numbers = names.flatMap((name) => /^daemon\.(\d+)\.log$/.exec(name)?.[1] ?? []);
    return numbers.map(Number).toSorted((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#directory, `daemon.${number}.log`);
  }
}
