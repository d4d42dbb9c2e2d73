// What most commands do first: reach the daemon, find the workspace, show progress, end cleanly on
// Ctrl-C.

import { resolve } from "node:path";
import { type CallOptions, type ConnectOptions, RpcClient } from "@devdev/client";
import type { Method, Params, Results, WorkspaceSummary } from "@devdev/protocol";
import type { GlobalOptions } from "./program.js";
import { ProgressLine } from "./progress.js";

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
    process.once("SIGINT", () => {
      this.#interrupted.abort();
      this[Symbol.dispose]();
      process.exit(130);
    });
  }

  static async open(options: GlobalOptions, connect: ConnectOptions = {}): Promise<Session> {
    return new Session(await RpcClient.connect(connect), options);
  }

  call<M extends Method>(method: M, params: Params<M>): Promise<Results[M]> {
    const options: CallOptions = {
      onProgress: this.#progress.report,
      signal: this.#interrupted.signal,
    };
    return this.#rpc.call(method, params, options);
  }

  /** The workspace this command is for. */
  workspace(named = this.#options.workspace): Promise<WorkspaceSummary> {
    return this.call("workspace/select", {
      cwd: process.cwd(),
      ...(named !== undefined && { workspace: absolute(named) }),
    });
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
    this.#rpc.close();
  }
}

/** A workspace that is named by a path becomes absolute; a name stays. */
export function absolute(name: string): string {
  if (!name.includes("/") && name !== "." && name !== "..") return name;
  return resolve(name);
}
