// Sync file calls through the daemon: a worker thread holds a FileChannel, this thread sleeps on a
// shared word until the answer is in the message port.

import { fileURLToPath } from "node:url";
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from "node:worker_threads";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import { decodeFileCall } from "@devdev/protocol";
import type { ConnectOptions } from "./connect.js";

const LIMIT_MS = 60_000;

/** What the worker is started with. */
export interface SyncWorkerData {
  workspace: string;
  env: Record<string, string | undefined>;
  port: MessagePort;
  /** One word; the worker adds 1 with each answer. */
  answered: Int32Array;
}

export class SyncChannel {
  readonly #workspace: string;
  readonly #options: ConnectOptions;
  readonly #answered = new Int32Array(new SharedArrayBuffer(4));
  #port: MessagePort | undefined;

  constructor(workspace: string, options: ConnectOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  call(op: string, args: readonly unknown[]): unknown {
    this.#port ??= this.#start();
    const before = Atomics.load(this.#answered, 0);
    this.#port.postMessage({ op, args }, []);
    if (Atomics.wait(this.#answered, 0, before, LIMIT_MS) === "timed-out") {
      throw new DevdevError(
        "ETIMEDOUT",
        `the daemon did not answer ${op} for ${LIMIT_MS / 1000} s`,
      );
    }
    const received = receiveMessageOnPort(this.#port);
    if (!received) throw new DevdevError("ERR_DAEMON_GONE", "the answer of the daemon was lost");
    const answer = decodeFileCall(Buffer.from(received.message as Uint8Array)).value as {
      ok?: unknown;
      error?: PlainError;
    };
    if (answer.error) throw errorFromPlain(answer.error);
    return answer.ok;
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const workerData: SyncWorkerData = {
      workspace: this.#workspace,
      env: { ...(this.#options.env ?? process.env) },
      port: port2,
      answered: this.#answered,
    };
    const worker = new Worker(fileURLToPath(new URL("./sync-worker.js", import.meta.url)), {
      workerData,
      transferList: [port2],
    });
    worker.unref();
    port1.unref();
    return port1;
  }
}
