// A process on the other side of a mount, that does single calls when told to: tests ask it what it
// sees before and after a change, and it keeps files open and mapped in between.

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "peer.py");
const LIMIT_MS = 60_000;
const ERRNO = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

export class Peer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.#child = spawn("python3", ["-u", SCRIPT], {
      cwd: "/",
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** A peer whose paths are below `root`, the mount point. */
  static async start(root: string): Promise<Peer> {
    const peer = new Peer(root);
    await peer.#next("its start");
    return peer;
  }

  async #next(what: string): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the peer hangs in ${what}`)), LIMIT_MS);
    });
    const { value, done } = await Promise.race([this.#answers.next(), late]);
    clearTimeout(timer);
    if (done === true) throw new Error(`the peer ended in ${what}`);
    return JSON.parse(value);
  }

  /**
   * Does one call; its result, or the name of its errno. Arguments with a slash in front are paths.
   */
  async call(name: string, ...args: unknown[]): Promise<unknown> {
    const placed = args.map((arg) =>
      typeof arg === "string" && arg.startsWith("/") ? this.#root + arg : arg,
    );
    this.#child.stdin!.write(`${JSON.stringify([name, ...placed])}\n`);
    const answer = (await this.#next(name)) as { value?: unknown; errno?: number };
    return answer.errno === undefined ? answer.value : (ERRNO.get(answer.errno) ?? answer.errno);
  }

  /** Ends it as a signal does: mappings and descriptors go with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await ended;
  }
}
