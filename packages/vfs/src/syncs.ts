// Whoever waits in fsync of a durable workspace's mount: all that wait by now are settled by one
// checkpoint, and who comes meanwhile by the next.

import * as native from "@devdev/native";

export class Syncs {
  readonly #handle: number;
  readonly #sync: () => Promise<void>;
  #serving = false;

  /** `sync` makes durable what the engine `handle` has when it is called. */
  constructor(handle: number, sync: () => Promise<void>) {
    this.#handle = handle;
    this.#sync = sync;
  }

  /** Somebody has begun to wait. */
  wake(): void {
    if (this.#serving) return;
    this.#serving = true;
    void this.#serve();
  }

  async #serve(): Promise<void> {
    for (;;) {
      const newest = native.syncsNewest(this.#handle);
      if (newest === null) break;
      // Those who wait are told of a failure, and whoever asked for checkpoints has logged it.
      const durable = await this.#sync().then(
        () => true,
        () => false,
      );
      native.syncsSettle(this.#handle, newest, durable);
    }
    this.#serving = false;
  }
}
