// A program on a terminal of its own, as a person has it before them: keys, window size, modes.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { until } from "./run.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "terminal.py");

interface Ended {
  /** Negative: the signal. */
  code: number;
  /** The terminal's modes are what they were before. */
  restored: boolean;
}

export interface TerminalOptions {
  cwd: string;
  env: Record<string, string>;
  rows?: number;
  columns?: number;
}

export class Terminal implements Disposable {
  output = "";
  readonly #child: ChildProcess;
  readonly #report: Promise<string>;

  constructor(argv: readonly string[], { cwd, env, rows = 30, columns = 100 }: TerminalOptions) {
    this.#child = spawn("python3", ["-u", SCRIPT, `${rows}`, `${columns}`, ...argv], {
      cwd,
      env: { ...env, TERM: "xterm" },
      stdio: ["pipe", "pipe", "inherit", "pipe"],
    });
    this.#child.stdout!.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.#child.stdin!.on("error", () => {}); // It may have ended.
    this.#report = text(this.#child.stdio[3] as Readable);
  }

  #order(order: object): void {
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`);
  }

  type(keys: string): void {
    this.#order({ keys });
  }

  resize(rows: number, columns: number): void {
    this.#order({ resize: [rows, columns] });
  }

  signal(name: NodeJS.Signals): void {
    this.#order({ signal: constants.signals[name] });
  }

  /** Resolves when it has printed that. */
  async shows(what: string | RegExp): Promise<void> {
    const shown = () =>
      typeof what === "string" ? this.output.includes(what) : what.test(this.output);
    try {
      await until(`"${String(what)}"`, shown);
    } catch (cause) {
      throw new Error(
        `the terminal does not show "${String(what)}": ${JSON.stringify(this.output)}`,
        {
          cause,
        },
      );
    }
  }

  async ended(limitMs = 120_000): Promise<Ended> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), limitMs);
    if (this.#child.exitCode === null) await once(this.#child, "close");
    clearTimeout(timer);
    return JSON.parse((await this.#report) || '{"code":"it did not end"}') as Ended;
  }

  [Symbol.dispose](): void {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
  }
}
