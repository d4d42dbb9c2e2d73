// Memory that a virtual machine touches for the first time, or that its host has taken back, is
// several times slower. So that no contender finds more of it than another, a helper
// (native/fsops/src/warm.rs) holds memory that was touched and hands it out while they work.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** More than one contender takes in all steps. */
const HELD_MIB = 6144;

export class WarmMemory implements AsyncDisposable {
  readonly #helper: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  constructor(fsops: string, heldMib = HELD_MIB) {
    const command = ["warm", "--mib", String(heldMib)];
    this.#helper = spawn(fsops, command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = once(this.#helper, "exit");
    // That it has ended is what `fill` says, not an EPIPE that nobody waits for.
    this.#helper.stdin!.on("error", () => undefined);
    this.#lines = createInterface({ input: this.#helper.stdout! })[Symbol.asyncIterator]();
  }

  /** Takes free memory up to what is held, before a contender begins; resolves to that in MiB. */
  async fill(): Promise<number> {
    this.#helper.stdin!.write("fill\n");
    const { value, done } = await this.#lines.next();
    const filled = /^filled (\d+)$/.exec(done === true ? "" : value);
    if (filled === null) throw new Error(`bench: the memory's keeper ended: ${String(value)}`);
    return Number(filled[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#helper.stdin!.end();
    await this.#ended;
  }
}
