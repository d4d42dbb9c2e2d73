// What most commands do first: reach the daemon, find the workspace, show progress, end cleanly on
// Ctrl-C.

import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, type ConnectOptions, RpcClient } from "@devdev/client";
import type { Method, Params, Results, WorkspaceSummary } from "@devdev/protocol";
import { Interrupted, warning } from "./failure.js";
import { interruption } from "./interrupted.js";
import type { GlobalOptions } from "./program.js";
import { ProgressLine } from "./progress.js";
import { byName } from "./workspace-name.js";

/** What the daemon takes back when it is cancelled; Ctrl-C waits for that. */
const CANCELLABLE: ReadonlySet<Method> = new Set<Method>([
  "workspace/mount",
  "workspace/import",
  "snapshot/export",
]);
const CANCEL_LIMIT_MS = 10_000;
/** What it completes all the same. */
const GOES_ON: ReadonlySet<Method> = new Set<Method>([
  "workspace/unmount",
  "workspace/remove",
  "snapshot/take",
  "snapshot/restore",
  "workspace/fork",
  "history/undo",
  "history/redo",
  "daemon/stop",
]);

/** A connection to the daemon for one command. */
export class Session implements Disposable {
  readonly #rpc: RpcClient;
  readonly #progress: ProgressLine;
  readonly #options: GlobalOptions;
  readonly #interrupted = new AbortController();

  private constructor(rpc: RpcClient, options: GlobalOptions) {
    this.#rpc = rpc;
    this.#options = options;
    this.#progress = new ProgressLine(options.json ?? false);
    process.once("SIGINT", () => this.#interrupted.abort());
  }

  static async open(options: GlobalOptions, connect: ConnectOptions = {}): Promise<Session> {
    return new Session(await RpcClient.connect(connect), options);
  }

  async call<M extends Method>(method: M, params: Params<M>): Promise<Results[M]> {
    const { signal } = this.#interrupted;
    const options: CallOptions = { onProgress: this.#progress.report, signal };
    const calling = this.#rpc.call(method, params, options);
    const interrupted = Promise.withResolvers<never>();
    const interrupt = (): void => {
      const limit = CANCELLABLE.has(method) ? CANCEL_LIMIT_MS : 0;
      this.#progress.report({ token: "", stage: "cancelling" });
      if (GOES_ON.has(method)) this.#saysItGoesOn();
      setTimeout(() => interrupted.reject(new Interrupted()), limit).unref();
    };
    signal.addEventListener("abort", interrupt);
    try {
      return await Promise.race([calling, interrupted.promise]);
    } catch (error) {
      if (signal.aborted) throw new Interrupted();
      throw error;
    } finally {
      signal.removeEventListener("abort", interrupt);
      this.#progress.wipe();
    }
  }

  #saysItGoesOn(): void {
    this.#progress.wipe();
    warning("the daemon completes this all the same", { json: this.#options.json ?? false });
  }

  /**
   * What takes a connection of its own: ended by Ctrl-C, and with progress as in calls. `goesOn`:
   * the daemon completes it all the same.
   */
  async run<T>(
    work: (signal: AbortSignal, report: (stage: string, done?: number) => void) => Promise<T>,
    { goesOn = false }: { goesOn?: boolean } = {},
  ): Promise<T> {
    const { signal } = this.#interrupted;
    const report = (stage: string, done?: number): void =>
      this.#progress.report({ token: "", stage, ...(done !== undefined && { done }) });
    const interrupted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => {
      if (goesOn) this.#saysItGoesOn();
      interrupted.reject(new Interrupted());
    });
    try {
      return await Promise.race([work(signal, report), interrupted.promise]);
    } catch (error) {
      throw signal.aborted ? new Interrupted() : error;
    } finally {
      this.#progress.wipe();
    }
  }

  /** Takes the line of progress away before something is printed. */
  wipe(): void {
    this.#progress.wipe();
  }

  /** Lets time pass; Ctrl-C ends it. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#interrupted.signal }).catch(() => {
      throw new Interrupted();
    });
  }

  /** The workspace this command is for. */
  workspace(named = this.#options.workspace): Promise<WorkspaceSummary> {
    return byName(named, (workspace) =>
      this.call("workspace/select", {
        cwd: process.cwd(),
        ...(workspace !== undefined && { workspace }),
      }),
    );
  }

  /** The same, for what acts on its present state: says so when that is not the one left behind. */
  async workspaceAsLeft(named?: string): Promise<WorkspaceSummary> {
    const found = await this.workspace(named);
    const text = interruption(found);
    if (text !== undefined) warning(text, { json: this.#options.json ?? false });
    return found;
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
    this.#rpc.close();
  }
}
