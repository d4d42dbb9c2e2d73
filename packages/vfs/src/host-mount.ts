// Host mounts: one engine's, and what is found on the host from outside.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { devdevError, errnoName } from "@devdev/errno";
import * as native from "@devdev/native";
import type { RequestCounts, WorkspaceStats } from "@devdev/protocol";
import { Syncs } from "./syncs.js";

export type MountLogLevel = "debug" | "info" | "warn" | "error";

/** How requests of the kernel come in. */
export type Transport = "classic" | "io_uring";

export interface HostMountConfig {
  /** Let other users enter (FUSE's allow_other). */
  allowOther?: boolean;
  /** Default: DEVDEV_TRANSPORT, else io_uring where the kernel offers it. */
  transport?: Transport;
  /** The kernel may keep writes back; default: DEVDEV_WRITEBACK=1, else it may not. */
  writeback?: boolean;
  /** Honour set-user-id bits and devices (root only). */
  suidAndDevices?: boolean;
  /**
   * Makes durable what the engine has when it is called: fsync through the mount waits for it, and
   * fails when it does. Without it fsync has nothing to wait for.
   */
  sync?: (() => Promise<void>) | undefined;
  /** The bridge's messages. */
  onLog?: (level: MountLogLevel, message: string) => void;
  /**
   * Called once when the mount is gone: by `unmount`, or lost (unmounted by others, connection
   * aborted).
   */
  onEnd?: (reason: "unmounted" | "lost") => void;
}

/** A process that uses a mount. */
export interface MountUser {
  pid: number;
  command: string;
  /** "working directory", "root directory", "program", "open file", "mapped file". */
  what: string;
}

/** What a host mount has counted since it began, or since it was last told to begin anew. */
export interface MountFigures extends Pick<WorkspaceStats, "since" | "parked" | "notifications"> {
  requests: RequestCounts[];
}

/** A devdev mount found on this host. */
export interface FoundMount {
  path: string;
  /** Whose it is. */
  uid: number;
}

/** What to do about a refusal, by its code; the sentence itself says what is wrong. */
const HINTS: Readonly<Record<string, string>> = {
  ERR_MOUNT_ALREADY_MOUNTED: "unmount it first, or choose another directory",
  ERR_MOUNT_UNRESPONSIVE: "devdev doctor clears what a killed daemon left",
  ERR_MOUNT_UNSUPPORTED: "everything but mounting and running commands works here",
  EBUSY: "end these processes, or unmount with --force",
};

/** The addon's error as one with a hint. */
function refused(error: unknown): never {
  if (!(error instanceof Error)) throw error;
  const { code } = error as Error & { code?: string };
  if (code === undefined) throw error;
  throw devdevError(code, error.message, { hint: HINTS[code], cause: error });
}

/** Path of the helper binary: DEVDEV_HELPER, else the one built beside the addon. */
export function helperPath(): string {
  const chosen = process.env.DEVDEV_HELPER;
  if (chosen !== undefined && chosen !== "") return chosen;
  const addon = createRequire(import.meta.url).resolve("@devdev/native");
  return join(dirname(addon), "bin", "devdev-helper");
}

/** An engine's mount at a host path. */
export class HostMount {
  readonly path: string;
  readonly transport: Transport;
  /** Why io_uring was wished and is not used. */
  readonly whyClassic: string | undefined;
  /** Whether the kernel keeps writes back: it may be too old for that. */
  readonly writeback: boolean;
  readonly #handle: number;
  #ended = false;

  private constructor(handle: number, mounted: native.MountedInfo) {
    this.#handle = handle;
    this.path = mounted.path;
    this.transport = mounted.transport as Transport;
    this.whyClassic = mounted.whyClassic;
    this.writeback = mounted.writeback;
  }

  /** Mounts the engine `handle`. */
  static async open(handle: number, path: string, config: HostMountConfig): Promise<HostMount> {
    const helper = helperPath();
    const opened: { mount?: HostMount } = {};
    const transport = config.transport ?? process.env.DEVDEV_TRANSPORT;
    const mounting = {
      path,
      ...(transport !== undefined && { transport }),
      allowOther: config.allowOther ?? false,
      suidAndDevices: config.suidAndDevices ?? false,
      durable: config.sync !== undefined,
      writeback: config.writeback ?? process.env.DEVDEV_WRITEBACK === "1",
      ...(existsSync(helper) && { helper }),
    };
    const syncs = config.sync && new Syncs(handle, config.sync);
    const onLog = ({ level, text }: native.MountMessage): void =>
      config.onLog?.(level as MountLogLevel, text);
    const onEnd = (reason: string): void => {
      if (opened.mount !== undefined) opened.mount.#ended = true;
      config.onEnd?.(reason as "unmounted" | "lost");
    };
    const mounted = await native
      .mount(handle, mounting, onLog, onEnd, () => syncs?.wake())
      .catch(refused);
    opened.mount = new HostMount(handle, mounted);
    return opened.mount;
  }

  /** False once it was unmounted or its connection ended. */
  get alive(): boolean {
    return !this.#ended && native.mountAlive(this.#handle);
  }

  /** EBUSY when it is in use (`details.users` says by whom), unless `force`. */
  async unmount({ force = false }: { force?: boolean } = {}): Promise<void> {
    try {
      await native.unmount(this.#handle, force);
    } catch (error) {
      if ((error as { code?: string }).code !== "EBUSY") refused(error);
      const users = await this.users();
      const { message } = error as Error;
      throw devdevError("EBUSY", message, { hint: HINTS.EBUSY, details: { users }, cause: error });
    }
    this.#ended = true;
  }

  users(): Promise<MountUser[]> {
    return whoUses(this.path);
  }

  /** Undefined when it has ended; with `reset` the figures begin anew after this. */
  stats(reset: boolean): MountFigures | undefined {
    const figures = native.mountStats(this.#handle, reset);
    if (!figures) return undefined;
    return {
      since: figures.since,
      requests: figures.requests.map(requestCounts),
      parked: { now: figures.parkedNow, total: figures.parked },
      notifications: { inodes: figures.inodesNotified, names: figures.entriesNotified },
    };
  }
}

function requestCounts(counter: native.RequestCounter): RequestCounts {
  const { errors, latency, nanos, maxNanos, ...plain } = counter;
  return {
    ...plain,
    totalNs: nanos,
    maxNs: maxNanos,
    errors: Object.fromEntries(errors.map(({ errno, count }) => [errnoName(errno), count])),
    buckets: latency.map(({ from, below, count }) => ({ fromNs: from, belowNs: below, count })),
  };
}

/** The devdev mounts of this mount namespace. Touches none of them. */
export function hostMounts(): Promise<FoundMount[]> {
  return native.hostMounts().catch(refused);
}

/** Removes what is left of a mount whose daemon is gone; false when there is none at `path`. */
export function clearDeadMount(path: string): Promise<boolean> {
  return native.clearDeadMount(path).catch(refused);
}

/** Who uses what is mounted at `path`. Never touches the mount. */
export function whoUses(path: string): Promise<MountUser[]> {
  return native.mountUsers(path).catch(refused);
}
