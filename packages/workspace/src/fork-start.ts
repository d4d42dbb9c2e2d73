// Where the history of a fork begins: with what it was forked from, which is kept for merges and so
// is no snapshot of the fork. It becomes one when somebody goes back to it. Its event is the first.

import type { SnapshotInfo } from "@devdev/protocol";
import type { EventRow } from "@devdev/store";
import type { Tree } from "@devdev/vfs";

import { beginning } from "./forking.js";
import type { Timeline, TimelineParts } from "./timeline.js";

export class ForkStart {
  readonly #parts: TimelineParts;
  readonly #timeline: Timeline;
  #id: Promise<string> | undefined;

  constructor(parts: TimelineParts, timeline: Timeline) {
    this.#parts = parts;
    this.#timeline = timeline;
  }

  /** Its content id, which does not change; undefined: the workspace is no fork. */
  async began(): Promise<string | undefined> {
    const [first] = await this.#parts.keeper.history.all();
    if (first?.kind !== "start") return undefined;
    this.#id ??= this.#idOf().catch((error: unknown) => {
      this.#id = undefined;
      throw error;
    });
    return this.#id;
  }

  async #idOf(): Promise<string> {
    using tree = await this.beginning();
    return await tree.contentId();
  }

  /** The tree; the caller disposes of it. */
  async beginning(): Promise<Tree> {
    using live = this.#parts.vfs.freeze();
    return await beginning(this.#parts.keeper, live);
  }

  /** Makes a snapshot of it, while the store goes on coming back to `live`. */
  keep(tree: Tree, live: SnapshotInfo): Promise<SnapshotInfo> {
    const described = { automatic: true, message: "what it was forked from" };
    const more = { made: true, comeBackTo: live.sequence };
    return this.#timeline.keep(tree, undefined, described, more);
  }
}

/** Whether that is the event with which a fork began. */
export function isForks(events: readonly EventRow[], number: number): boolean {
  return events[0]?.number === number && events[0].kind === "start";
}
