// The connection on which file calls of one workspace travel; opened with the first call.

import type { Socket } from "node:net";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import {
  decodeFileCall,
  encodeFileCall,
  encodeFrame,
  encodeJsonFrame,
  FrameDecoder,
  FrameType,
  jsonPayload,
  STREAM_PREAMBLE,
} from "@devdev/protocol";
import { connectDaemon, type ConnectOptions } from "./connect.js";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class FileChannel {
  readonly #workspace: string;
  readonly #options: ConnectOptions;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Promise<Socket> | undefined;
  #calls = 0;

  constructor(workspace: string, options: ConnectOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  /** Performs an operation of `fs` (or, with `fd`, of an open file) at the daemon. */
  async call(op: string, args: readonly unknown[], fd?: number): Promise<unknown> {
    this.#socket ??= this.#open();
    const socket = await this.#socket;
    const id = ++this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    socket.ref();
    socket.write(
      encodeFrame(
        FrameType.call,
        encodeFileCall({ id, value: { op, args, ...(fd !== undefined && { fd }) } }),
      ),
    );
    return promise;
  }

  async #open(): Promise<Socket> {
    const socket = await connectDaemon(STREAM_PREAMBLE, this.#options);
    const decoder = new FrameDecoder();
    const fail = (error: unknown): void => {
      this.#socket = undefined;
      this.#waiting.forEach(({ reject }) => reject(error));
      this.#waiting.clear();
    };
    socket.on("data", (chunk) => {
      try {
        for (const frame of decoder.push(chunk)) {
          if (frame.type === FrameType.error)
            fail(errorFromPlain(jsonPayload(frame) as PlainError));
          else if (frame.type === FrameType.reply) this.#settle(socket, frame.payload);
        }
      } catch (error) {
        fail(error);
        socket.destroy();
      }
    });
    socket.on("error", fail);
    socket.on("close", () => fail(new DevdevError("ERR_DAEMON_GONE", "the daemon went away")));
    socket.write(encodeJsonFrame(FrameType.open, { kind: "files", workspace: this.#workspace }));
    return socket;
  }

  #settle(socket: Socket, payload: Buffer): void {
    const { id, value } = decodeFileCall(payload);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    // An idle channel does not keep the process alive.
    if (this.#waiting.size === 0) socket.unref();
    const answer = value as { ok?: unknown; error?: PlainError };
    if (answer.error) waiting?.reject(errorFromPlain(answer.error));
    else waiting?.resolve(answer.ok);
  }

  async close(): Promise<void> {
    const socket = await this.#socket?.catch(() => undefined);
    socket?.destroy();
  }
}
