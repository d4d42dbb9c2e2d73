// Where a workspace is mounted: at a path of the caller's, or at a directory of its own in the temp
// directory, which goes when it is unmounted.

import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { DevdevError } from "@devdev/errno";
import type { HostMountOptions, MountTransport } from "@devdev/protocol";

import { notDurable } from "./ephemeral.js";
import type { WorkspaceParts } from "./parts.js";

export interface MountingParts extends Pick<
  WorkspaceParts,
  | "vfs"
  | "name"
  | "isDurable"
  | "writeback"
  | "keepOptions"
  | "onMounted"
  | "onUnmounted"
  | "interruptedAt"
> {
  /** What fsync of a durable workspace waits for. */
  sync: () => Promise<void>;
  onLog?: MountLog;
}

type MountLog = (level: "debug" | "info" | "warn" | "error", message: string) => void;

/** What a mount has to say to people, for the workspace's log. */
export function mountLogOf({ log, name }: WorkspaceParts): MountLog {
  return (level, message) => {
    if (level === "warn" || level === "error") log?.warn({ workspace: name }, message);
  };
}

export class Mounting {
  readonly #parts: MountingParts;
  /** The directory that was made for it. */
  #temporary: string | undefined;
  /** Whether `onMounted` was told of a mount, and `onUnmounted` not yet of its end. */
  #noted = false;
  #interruptedAt: string | undefined;
  #isDurable: boolean;
  #writeback: boolean | undefined;

  constructor(parts: MountingParts) {
    this.#parts = parts;
    this.#interruptedAt = parts.interruptedAt;
    this.#isDurable = parts.isDurable ?? false;
    this.#writeback = parts.writeback;
    this.#syncThroughStore(this.#isDurable);
  }

  get path(): string | undefined {
    const { hostMount } = this.#parts.vfs;
    return hostMount?.alive ? hostMount.path : undefined;
  }

  get writeback(): boolean {
    return this.#parts.vfs.hostMount?.writeback ?? this.#writeback ?? false;
  }

  get transport(): MountTransport | undefined {
    return this.#parts.vfs.hostMount?.transport;
  }

  get whyClassic(): string | undefined {
    return this.#parts.vfs.hostMount?.whyClassic;
  }

  /** The path, or an error that says that there is none. */
  need(doing: string): string {
    const { path } = this;
    if (path !== undefined) return path;
    const { name } = this.#parts;
    const interruptedAt = this.#interruptedAt;
    const message = `workspace ${name} is not mounted: it cannot ${doing}`;
    if (interruptedAt === undefined) {
      throw new DevdevError("ERR_NOT_MOUNTED", message, { hint: "mount it first" });
    }
    throw new DevdevError(
      "ERR_NOT_MOUNTED",
      `${message} (it was mounted at ${interruptedAt} when its daemon ended without warning)`,
      { hint: `\`devdev mount ${interruptedAt}\` brings it back as of its last checkpoint` },
    );
  }

  async mount(path: string | undefined, options: HostMountOptions): Promise<string> {
    const { vfs, name, onMounted, keepOptions, onLog } = this.#parts;
    const { durable = this.#isDurable, writeback = this.#writeback, ...mounting } = options;
    if (this.path !== undefined) {
      throw new DevdevError("EBUSY", `workspace ${name} is already mounted at ${this.path}`);
    }
    if (durable && !keepOptions) throw notDurable();
    const at = path === undefined ? await mkdtemp(join(tmpdir(), "devdev-ws-")) : resolve(path);
    this.#syncThroughStore(durable);
    try {
      await vfs.mount(at, {
        ...mounting,
        ...(writeback !== undefined && { writeback }),
        ...(onLog && { onLog }),
      });
    } catch (error) {
      this.#syncThroughStore(this.#isDurable);
      if (path === undefined) await rmdir(at);
      throw error;
    }
    this.#interruptedAt = undefined;
    if (path === undefined) this.#temporary = at;
    else {
      this.#noted = true;
      await onMounted?.(at);
    }
    if (durable !== this.#isDurable || writeback !== this.#writeback) {
      await keepOptions?.({ durable, ...(writeback !== undefined && { writeback }) });
    }
    this.#isDurable = durable;
    this.#writeback = writeback;
    return at;
  }

  #syncThroughStore(durable: boolean): void {
    this.#parts.vfs.syncThrough(durable ? this.#parts.sync : undefined);
  }

  async unmount(options: { force?: boolean }): Promise<void> {
    const { vfs } = this.#parts;
    await vfs.hostMount?.unmount(options);
    const temporary = this.#temporary;
    this.#temporary = undefined;
    // Another process may have made something in it once the mount was gone: then it stays.
    if (temporary !== undefined) await rmdir(temporary).catch(() => undefined);
    await this.settle();
  }

  /** Has it noted that there is no mount any more, also when something else ended it. */
  async settle(): Promise<void> {
    if (!this.#noted) return;
    this.#noted = false;
    // At worst the next process says that this one died: a failing store shows itself elsewhere.
    await this.#parts.onUnmounted?.().catch(() => undefined);
  }
}
