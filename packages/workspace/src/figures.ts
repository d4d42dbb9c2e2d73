// What a workspace tells of itself in figures: how much it holds, and what its mount has served.

import { requestStats, type WorkspaceStats, type WorkspaceUsage } from "@devdev/protocol";

import type { Checkpointer } from "./checkpointer.js";
import type { Mounting } from "./mounting.js";
import type { WorkspaceParts } from "./parts.js";

/** What is counted beside the mount, for as long as the workspace is open. */
type Beside = Pick<WorkspaceStats, "fetched" | "checkpoints">;

export class Figures {
  readonly #parts: WorkspaceParts;
  readonly #mounting: Mounting;
  readonly #checkpointer: Checkpointer;
  /** What had been counted beside the mount at the last reset. */
  #base: Beside;

  constructor(parts: WorkspaceParts, mounting: Mounting, checkpointer: Checkpointer) {
    this.#parts = parts;
    this.#mounting = mounting;
    this.#checkpointer = checkpointer;
    this.#base = this.#beside();
  }

  usage(): WorkspaceUsage {
    const { keeper, vfs } = this.#parts;
    const usage = vfs.usage();
    if (!keeper.durable) return { ...usage, dirtyBytes: usage.bytes };
    const { lastAt } = this.#checkpointer;
    return { ...usage, ...(lastAt !== undefined && { lastCheckpointAt: lastAt }) };
  }

  /** See the interface. */
  stats({ reset = false }: { reset?: boolean } = {}): WorkspaceStats {
    const figures = this.#parts.vfs.hostMount?.stats(reset);
    if (figures === undefined) {
      this.#mounting.need("show what it serves");
      throw new Error("a mount without figures");
    }
    const { since, requests, parked, notifications } = figures;
    const [before, now] = [this.#base, this.#beside()];
    if (reset) this.#base = now;
    return {
      since,
      at: Date.now(),
      requests: requestStats(requests),
      parked,
      notifications,
      fetched: {
        blocks: now.fetched.blocks - before.fetched.blocks,
        bytes: now.fetched.bytes - before.fetched.bytes,
      },
      checkpoints: {
        count: now.checkpoints.count - before.checkpoints.count,
        totalMs: now.checkpoints.totalMs - before.checkpoints.totalMs,
      },
    };
  }

  #beside(): Beside {
    return { fetched: this.#parts.vfs.fetched(), checkpoints: this.#checkpointer.made };
  }
}
