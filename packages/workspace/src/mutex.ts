// One at a time, in the order they came. Snapshots, restores and checkpoints of one workspace
// exclude each other: each freezes the tree and replaces the checkpoint, and an older tree must not
// replace a newer one.

export class Mutex {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Whether somebody has it or waits for it. */
  get busy(): boolean {
    return this.#waiting > 0;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined).then(() => (this.#waiting -= 1));
    return result;
  }
}
