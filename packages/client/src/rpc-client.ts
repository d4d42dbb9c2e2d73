// Typed calls of the daemon's methods over one JSON-RPC connection.

import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { errorFromPlain, type PlainError } from "@devdev/errno";
import {
  type Method,
  type Params,
  type Progress,
  PROTOCOL_VERSION,
  type Results,
  RPC_PREAMBLE,
  VERSION,
} from "@devdev/protocol";
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { checkVersion, connectDaemon, type ConnectOptions, daemonGone } from "./connect.js";

/** How often a daemon is asked again that ended before its first answer: for a second in all. */
const GONE_RETRIES = 20;
const GONE_PAUSE_MS = 50;

export interface CallOptions {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

export class RpcClient implements Disposable {
  readonly #connection: MessageConnection;
  readonly #listeners = new Map<string, (progress: Progress) => void>();
  readonly #closed: Promise<never>;
  readonly #socket: Socket;
  #calls = 0;
  #waiting = 0;

  private constructor(socket: Socket) {
    const connection = createMessageConnection(
      new StreamMessageReader(socket),
      new StreamMessageWriter(socket),
    );
    this.#socket = socket;
    this.#connection = connection;
    this.#closed = new Promise((_, reject) => {
      const gone = (): void => reject(daemonGone());
      connection.onClose(gone);
      connection.onError(gone);
    });
    // Every call races with it; without calls nobody needs to know.
    this.#closed.catch(() => undefined);
    connection.onNotification("progress", (progress: Progress) =>
      this.#listeners.get(progress.token)?.(progress),
    );
    connection.listen();
  }

  /**
   * Connects (starting the daemon if need be) and checks its version. A daemon that was killed
   * takes connections until its last thread is gone, and answers none: then the next one is asked.
   */
  static async connect(options: ConnectOptions = {}): Promise<RpcClient> {
    for (let left = GONE_RETRIES; ; left--) {
      try {
        return await RpcClient.#connectOnce(options);
      } catch (error) {
        if ((error as { code?: string }).code !== "ERR_DAEMON_GONE" || left === 0) throw error;
        await sleep(GONE_PAUSE_MS);
      }
    }
  }

  static async #connectOnce(options: ConnectOptions): Promise<RpcClient> {
    const socket = await connectDaemon(RPC_PREAMBLE, options);
    const client = new RpcClient(socket);
    try {
      checkVersion(await client.call("hello", { version: VERSION, protocol: PROTOCOL_VERSION }));
    } catch (error) {
      // A daemon of another version can still be told to stop.
      if ((error as { code?: string }).code !== "ERR_VERSION" || !options.anyVersion) {
        client.close();
        throw error;
      }
    }
    return client;
  }

  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Results[M]> {
    const token = `${++this.#calls}`;
    const cancel = new CancellationTokenSource();
    const abort = (): void => cancel.cancel();
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.onProgress) this.#listeners.set(token, options.onProgress);
    const argument = options.onProgress ? { ...params, progressToken: token } : params;
    // Only who waits for an answer keeps the process alive.
    if (this.#waiting++ === 0) this.#socket.ref();
    try {
      return await Promise.race([
        this.#connection.sendRequest<Results[M]>(method, argument, cancel.token),
        this.#closed,
      ]);
    } catch (error) {
      throw error instanceof ResponseError && isPlain(error.data)
        ? errorFromPlain(error.data)
        : error;
    } finally {
      if (--this.#waiting === 0) this.#socket.unref();
      options.signal?.removeEventListener("abort", abort);
      this.#listeners.delete(token);
    }
  }

  close(): void {
    this.#connection.end();
    this.#connection.dispose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function isPlain(data: unknown): data is PlainError {
  return typeof data === "object" && data !== null && "kind" in data && "message" in data;
}
