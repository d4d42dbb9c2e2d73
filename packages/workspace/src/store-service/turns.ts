// How many trees are brought into the store at once. A thousand workspaces may be due at the same
// moment; each has a buffer while its turn lasts, and the disk is no faster for many.

/** In the background, and of those that somebody waits for. */
const AT_ONCE = { background: 2, full: 4 };

type Kind = keyof typeof AT_ONCE;

interface Waiting {
  key: string;
  kind: Kind;
  begin: () => void;
}

export class Turns {
  readonly #running = { background: 0, full: 0 };
  readonly #waiting: Waiting[] = [];

  /** Runs `work` when it is its turn; `key` is for `hurry`. */
  async run<T>(key: string, kind: Kind, work: () => Promise<T>): Promise<T> {
    const waiting: Waiting = { key, kind, begin: () => undefined };
    if (this.#running[kind] >= AT_ONCE[kind]) {
      await new Promise<void>((resolve) => {
        waiting.begin = resolve;
        this.#waiting.push(waiting);
      });
    } else this.#running[kind] += 1;
    try {
      return await work();
    } finally {
      this.#running[waiting.kind] -= 1;
      this.#next();
    }
  }

  /** Somebody waits for these now. */
  hurry(key: string): void {
    for (const each of this.#waiting) if (each.key === key) each.kind = "full";
    this.#next();
  }

  #next(): void {
    for (const kind of ["full", "background"] as const) {
      while (this.#running[kind] < AT_ONCE[kind]) {
        const at = this.#waiting.findIndex((each) => each.kind === kind);
        if (at < 0) break;
        this.#running[kind] += 1;
        this.#waiting.splice(at, 1)[0]?.begin();
      }
    }
  }
}
