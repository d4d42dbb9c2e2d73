// A command that could not be started because it is not there or not executable, in the shape of
// one that ran:
// it says so and ends with 127 or 126, as from a shell. So callers have one way to learn how a
// command ended.

import type { LaunchError } from "@devdev/exec";
import type { ExecProcess, ExitStatus } from "@devdev/protocol";

type Listener = Parameters<ExecProcess["onOutput"]>[0];

export class FailedProcess implements ExecProcess {
  /** It never had one. */
  readonly pid = 0;
  readonly #status: ExitStatus;
  readonly #said: Buffer;
  readonly #stream: "stdout" | "stderr";
  #listening = false;

  constructor(error: LaunchError, terminal: boolean, durationMs: number) {
    this.#status = { exitCode: error.exitCode, timedOut: false, durationMs };
    this.#stream = terminal ? "stdout" : "stderr";
    this.#said = Buffer.from(`devdev: ${error.message}${terminal ? "\r\n" : "\n"}`);
  }

  onOutput(listener: Listener): void {
    if (this.#listening) return;
    this.#listening = true;
    listener(this.#said, this.#stream);
  }

  /** What is written to it is lost, as with a command that has ended. */
  async write(): Promise<void> {}

  async end(): Promise<void> {}

  async resize(): Promise<void> {}

  async kill(): Promise<void> {}

  pause(): void {}

  resume(): void {}

  async wait(): Promise<ExitStatus> {
    return this.#status;
  }

  get ended(): Promise<ExitStatus> {
    return this.wait();
  }
}
