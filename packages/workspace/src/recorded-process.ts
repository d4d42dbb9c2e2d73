// A command whose end is recorded before it is told.

import type { ExecProcess, ExitStatus } from "@devdev/protocol";

/** What became of the record. */
export type Outcome = Pick<ExitStatus, "turn" | "unrecorded">;

export class RecordedProcess implements ExecProcess {
  readonly pid: number;
  readonly #process: ExecProcess;
  readonly #outcome: Promise<Outcome>;

  constructor(process: ExecProcess, outcome: Promise<Outcome>) {
    this.pid = process.pid;
    this.#process = process;
    this.#outcome = outcome;
    // A command of which nothing is known any more fails for who waits.
    outcome.catch(() => undefined);
  }

  onOutput(listener: Parameters<ExecProcess["onOutput"]>[0]): void {
    this.#process.onOutput(listener);
  }

  write(bytes: Uint8Array | string): Promise<void> {
    return this.#process.write(bytes);
  }

  end(): Promise<void> {
    return this.#process.end();
  }

  resize(cols: number, rows: number): Promise<void> {
    return this.#process.resize(cols, rows);
  }

  kill(signal?: NodeJS.Signals): Promise<void> {
    return this.#process.kill(signal);
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  async wait(): Promise<ExitStatus> {
    const status = await this.#process.wait();
    return { ...status, ...(await this.#outcome) };
  }
}
