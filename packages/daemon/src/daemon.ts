// The daemon: owns the workspaces of a data directory, listens, and stops in an orderly way. One
// per user and DEVDEV_HOME: the lock of the data directory decides, so a stale socket never does.

import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import { DevdevError } from "@devdev/errno";
import {
  type DataPaths,
  type DaemonStatus,
  PROTOCOL_VERSION,
  VERSION,
  type Workspace,
} from "@devdev/protocol";
import { leave, WorkspaceHost } from "@devdev/workspace";
import { createHandlers } from "./handlers.js";
import { listen, securedDirectory } from "./listener.js";
import { type Logger, openLog } from "./log.js";
import { serveRpc } from "./rpc.js";
import { containing, named, selectWorkspace } from "./select.js";
import { serveStream } from "./stream.js";

/** A stop that takes longer than this is cut short: mounts are then cleared by their watchdogs. */
const STOP_LIMIT_MS = 60_000;
/** Between the end of everything and the end of the connections: time to write answers. */
const ANSWER_MS = 20;
/** A client that does not read its answers has this long. */
const FAREWELL_MS = 1000;

export class Daemon {
  readonly socket: string;
  readonly stopped: Promise<void>;
  readonly #paths: DataPaths;
  readonly #log: Logger;
  readonly #host: WorkspaceHost;
  readonly #startedAt = Date.now();
  readonly #connections = new Set<Socket>();
  #server: Server | undefined;
  #stopping: Promise<void> | undefined;
  #resolveStopped: () => void = () => undefined;

  private constructor(paths: DataPaths, log: Logger, host: WorkspaceHost) {
    this.#paths = paths;
    this.#log = log;
    this.#host = host;
    this.socket = paths.socket;
    this.stopped = new Promise((resolve) => (this.#resolveStopped = resolve));
  }

  /**
   * Locks the data directory, opens the store and listens. ERR_LOCKED when another daemon has it.
   */
  static async start(paths: DataPaths, options: { foreground?: boolean } = {}): Promise<Daemon> {
    await securedDirectory(paths.runDir);
    const log = await openLog(paths.logDir, options.foreground ?? false);
    const host = await WorkspaceHost.open({ dataDir: paths.home, runDir: paths.runDir, log });
    const daemon = new Daemon(paths, log, host);
    process.on("uncaughtException", (error) => log.error({ err: error }, "uncaught exception"));
    process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
    await daemon.#listen();
    return daemon;
  }

  async #listen(): Promise<void> {
    const handlers = createHandlers({
      host: this.#host,
      paths: this.#paths,
      status: () => this.status(),
      stop: (reason) => this.stop(reason),
    });
    const track = (socket: Socket): void => {
      this.#connections.add(socket);
      socket.once("close", () => this.#connections.delete(socket));
    };
    this.#server = await listen(this.socket, {
      rpc: (socket) => (track(socket), serveRpc(socket, handlers, this.#log)),
      stream: (socket) => {
        track(socket);
        void serveStream(socket, {
          select: (name, cwd) => this.#select(name, cwd),
          host: () => (this.#refuseStopping(), this.#host),
          logDir: this.#paths.logDir,
          log: this.#log,
        });
      },
    });
    await writeFile(this.#pidFile, `${process.pid}\n`, { mode: 0o600 });
    this.#log.info({ version: VERSION, socket: this.socket }, "listening");
  }

  #refuseStopping(): void {
    if (!this.#stopping) return;
    throw new DevdevError("ERR_STOPPING", "the daemon is stopping", {
      hint: "run the command again",
    });
  }

  async #select(name: string | undefined, cwd: string | undefined): Promise<Workspace> {
    this.#refuseStopping();
    // Without asking the store, so that a command starts at once.
    const mounted = this.#host.opened().filter(({ mountPoint }) => mountPoint !== undefined);
    const found = name === undefined ? containing(mounted, cwd) : named(mounted, name, cwd);
    return found ?? this.#host.open((await selectWorkspace(this.#host, name, cwd)).id);
  }

  get #pidFile(): string {
    return join(this.#paths.runDir, "daemon.pid");
  }

  async status(): Promise<DaemonStatus> {
    const { rss, heapUsed, external } = process.memoryUsage();
    return {
      pid: process.pid,
      version: VERSION,
      protocol: PROTOCOL_VERSION,
      uptimeMs: Date.now() - this.#startedAt,
      startedAt: this.#startedAt,
      home: this.#paths.home,
      socket: this.socket,
      memory: { rss, heapUsed, external },
      workspaces: await this.#host.list(),
    };
  }

  /** Checkpoints and unmounts every workspace, then ends. Called twice, it waits for the first. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  async #stop(reason: string): Promise<void> {
    this.#log.info({ reason }, "stopping");
    const limit = setTimeout(() => {
      this.#log.error("the stop took too long and was cut short");
      leave(1);
    }, STOP_LIMIT_MS);
    this.#server?.close();
    // Before the lock goes: afterwards they could be those of the next daemon.
    await Promise.all([rm(this.socket, { force: true }), rm(this.#pidFile, { force: true })]);
    await this.#host.close().catch((error: unknown) => this.#log.error({ err: error }, "stop"));
    clearTimeout(limit);
    this.#log.info("stopped");
    // Answers are still on their way: exit statuses, and that to `daemon stop`.
    setTimeout(() => void this.#farewell(), ANSWER_MS);
  }

  async #farewell(): Promise<void> {
    const ends = [...this.#connections].map((socket) => once(socket.end(), "close"));
    const limit = new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
    await Promise.race([Promise.allSettled(ends), limit]);
    this.#resolveStopped();
  }
}
