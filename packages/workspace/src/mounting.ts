// Where a workspace is mounted: at a path of the caller's, or at a directory of its own in the temp
// directory, which goes when it is unmounted.

import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { DevdevError } from "@devdev/errno";
import type { HostMountOptions } from "@devdev/protocol";
import type { Vfs } from "@devdev/vfs";

export interface MountingParts {
  vfs: Vfs;
  /** The workspace's name, for messages. */
  name: string;
  /** Told where it is mounted, so that it can be found there again. */
  onMounted: (path: string) => Promise<void>;
  /** Told that it no longer is. */
  onUnmounted: () => Promise<void>;
  /** Where it was mounted when the process that had it died. */
  interruptedAt?: string | undefined;
  onLog?: (level: "debug" | "info" | "warn" | "error", message: string) => void;
}

export class Mounting {
  readonly #parts: MountingParts;
  /** The directory that was made for it. */
  #temporary: string | undefined;
  /** Whether `onMounted` was told of a mount, and `onUnmounted` not yet of its end. */
  #noted = false;
  #interruptedAt: string | undefined;

  constructor(parts: MountingParts) {
    this.#parts = parts;
    this.#interruptedAt = parts.interruptedAt;
  }

  get path(): string | undefined {
    const { hostMount } = this.#parts.vfs;
    return hostMount?.alive ? hostMount.path : undefined;
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
    const { vfs, name, onMounted, onLog } = this.#parts;
    if (this.path !== undefined) {
      throw new DevdevError("EBUSY", `workspace ${name} is already mounted at ${this.path}`);
    }
    const at = path === undefined ? await mkdtemp(join(tmpdir(), "devdev-ws-")) : resolve(path);
    try {
      await vfs.mount(at, { ...options, ...(onLog && { onLog }) });
    } catch (error) {
      if (path === undefined) await rmdir(at);
      throw error;
    }
    this.#interruptedAt = undefined;
    if (path === undefined) this.#temporary = at;
    else {
      this.#noted = true;
      await onMounted(at);
    }
    return at;
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
    await this.#parts.onUnmounted().catch(() => undefined);
  }
}
