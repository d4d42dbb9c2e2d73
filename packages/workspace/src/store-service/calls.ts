// Calls to a worker thread and their answers, over one message port: names, arguments and results
// typed by a map. Separate from what is called, so that both workers of the store share it.

import { Worker } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";

import { DevdevError, errorFromPlain, errorToPlain } from "@devdev/errno";
import type { PlainError } from "@devdev/errno";

/** What a worker offers: the handlers themselves, as a type. */
export type Handlers<C> = {
  [K in keyof C]: C[K] extends (...args: infer A) => infer R
    ? (...args: A) => R | Promise<R>
    : never;
};

interface Call {
  id: number;
  name: string;
  args: unknown[];
}

type Answer = { id: number; value: unknown } | { id: number; error: PlainError };
/** Sent while a call runs, by workers that do one thing only. */
type Progress = { progress: number };
/** Sent when something of the store cannot be read that somebody needs. */
type Damaged = { damaged: { workspace: string; what: string } };

/** Who hears of what workers say without being asked. */
export interface Listeners {
  progress?: ((done: number) => void) | undefined;
  damaged?: (workspace: string, what: string) => void;
}

/** The worker's side. Calls may overlap; answers come as they are ready. */
export function serveCalls<C>(port: MessagePort, handlers: Handlers<C>): void {
  const table = handlers as Record<string, (...args: unknown[]) => unknown>;
  port.on("message", (call: Call) => void answer(port, table, call));
}

async function answer(
  port: MessagePort,
  handlers: Record<string, (...args: unknown[]) => unknown>,
  { id, name, args }: Call,
): Promise<void> {
  let result: Answer;
  try {
    result = { id, value: await handlers[name]?.(...args) };
  } catch (error) {
    result = { id, error: errorToPlain(error) };
  }
  port.postMessage(result);
}

type Waiting = { resolve: (value: never) => void; reject: (error: unknown) => void };

/** The caller's side: starts the worker, and fails every call when it ends. */
export class WorkerCalls<C> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #ended: Error | undefined;

  constructor(entry: URL, workerData: unknown, listeners: Listeners = {}) {
    // Options of the main program (--input-type, --import, ...) are none of the worker's.
    this.#worker = new Worker(entry, { workerData, execArgv: [] });
    this.#worker.on("message", (message: Answer | Progress | Damaged) => {
      if ("progress" in message) return listeners.progress?.(message.progress);
      if (!("damaged" in message)) return this.#settle(message);
      const { workspace, what } = message.damaged;
      listeners.damaged?.(workspace, what);
    });
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(undefined));
    // A program that has nothing else to do ends; what is asked keeps it alive.
    this.#worker.unref();
  }

  call<K extends keyof C & string>(
    name: K,
    ...args: C[K] extends (...args: infer A) => unknown ? A : never
  ): Promise<C[K] extends (...args: never[]) => infer R ? R : never> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      // A worker is no window: there is no origin to name.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      this.#worker.postMessage({ id, name, args } satisfies Call);
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ("error" in answer) waiting?.reject(errorFromPlain(answer.error));
    else waiting?.resolve(answer.value as never);
  }

  #end(cause: unknown): void {
    this.#ended ??= new DevdevError("ERR_STORE_CLOSED", "the thread of the store has ended", {
      cause,
    });
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
