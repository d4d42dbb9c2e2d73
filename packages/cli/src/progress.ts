// Progress of what takes more than a second: a line on stderr that is rewritten, on a terminal
// only.

import type { Progress } from "@devdev/protocol";
import { duration } from "./print.js";

const AFTER_MS = 1000;
const EVERY_MS = 200;

/** Shows progress until `stop`; `report` goes to a call's onProgress. */
export class ProgressLine implements Disposable {
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #latest: Progress | undefined;
  #shown = false;

  constructor(quiet: boolean) {
    if (quiet || !process.stderr.isTTY) return;
    this.#timer = setInterval(() => this.#draw(), EVERY_MS);
    this.#timer.unref();
  }

  readonly report = (progress: Progress): void => {
    this.#latest = progress;
  };

  #draw(): void {
    const passed = performance.now() - this.#started;
    if (passed < AFTER_MS) return;
    const { stage = "working", done, total } = this.#latest ?? {};
    const share = done === undefined ? "" : total === undefined ? ` ${done}` : ` ${done}/${total}`;
    process.stderr.write(`\r\u001b[K${stage}${share} (${duration(passed)})`);
    this.#shown = true;
  }

  /** Takes the line away before something else is printed; the next report brings it back. */
  wipe(): void {
    if (this.#shown) process.stderr.write("\r\u001b[K");
    this.#shown = false;
    this.#latest = undefined;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.wipe();
  }
}
