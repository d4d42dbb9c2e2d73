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
  #worker: { port: MessagePort; thread: Worker } | undefined;
  #calls = 0;
  #closed = false;

  constructor(workspace: string, options: ConnectOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  call(op: string, args: readonly unknown[]): unknown {
    if (this.#closed) {
      throw new DevdevError("ERR_CLOSED", "the workspace was closed by this program");
    }
    this.#worker ??= this.#start();
    const id = (this.#calls = (this.#calls + 1) >>> 0);
    this.#worker.port.postMessage({ id, op, args }, []);
    const { ok, error } = this.#answer(id, this.#worker.port, op);
    if (error) throw errorFromPlain(error);
    return ok;
  }

  #answer(id: number, port: MessagePort, op: string): { ok?: unknown; error?: PlainError } {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      // Read before the port, so that an answer in between is not slept over.
      const seen = Atomics.load(this.#answered, 0);
      const received = receiveMessageOnPort(port);
      if (received) {
        const answer = decodeFileCall(Buffer.from(received.message as Uint8Array));
        if (answer.id === id) return answer.value as { ok?: unknown; error?: PlainError };
        continue; // Of a call that was given up.
      }
      const left = deadline - Date.now();
      if (left <= 0 || Atomics.wait(this.#answered, 0, seen, left) === "timed-out") {
        const message = `the daemon did not answer ${op} for ${LIMIT_MS / 1000} s`;
        throw new DevdevError("ETIMEDOUT", message);
      }
    }
  }

  #start(): { port: MessagePort; thread: Worker } {
    const { port1, port2 } = new MessageChannel();
    const workerData: SyncWorkerData = {
      workspace: this.#workspace,
      env: { ...(this.#options.env ?? process.env) },
      port: port2,
      answered: this.#answered,
    };
    const thread = new Worker(fileURLToPath(new URL("./sync-worker.js", import.meta.url)), {
      workerData,
      transferList: [port2],
      // Not this process's own: `--input-type` and the like would keep it from starting.
      execArgv: [],
    });
    thread.unref();
    port1.unref();
    return { port: port1, thread };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.thread.terminate();
  }
}
