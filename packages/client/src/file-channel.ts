// The connection on which file calls of one workspace travel; opened with the first call, and again
// when it was lost.

import type { Socket } from "node:net";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import {
  FileCallAssembler,
  type Frame,
  FrameType,
  jsonPayload,
  STREAM_PREAMBLE,
  writeFileCall,
} from "@devdev/protocol";
import {
  connectDaemon,
  type ConnectOptions,
  daemonGone,
  openFrame,
  receiveFrames,
} from "./connect.js";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class FileChannel {
  readonly #workspace: string;
  readonly #options: ConnectOptions;
  #connection: Promise<FileConnection> | undefined;
  /** The same, once it is there. */
  #ready: FileConnection | undefined;
  #closed = false;

  constructor(workspace: string, options: ConnectOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  /** Performs an operation of `fs` at the daemon; what it is given may be used again at once. */
  call(op: string, args: readonly unknown[]): Promise<unknown> {
    const ready = this.#ready;
    if (ready && !ready.lost && !this.#closed) return ready.call({ op, args });
    const copies = args.map((argument) =>
      ArrayBuffer.isView(argument) ? copy(argument) : argument,
    );
    return this.connection().then((connection) => connection.call({ op, args: copies }));
  }

  /** The connection that there is now: an open file belongs to the one on which it was opened. */
  async connection(): Promise<FileConnection> {
    if (this.#closed) {
      throw new DevdevError("ERR_CLOSED", "the workspace was closed by this program");
    }
    const current = await this.#connection?.catch(() => undefined);
    if (current && !current.lost) return current;
    this.#connection = this.#open();
    return this.#connection;
  }

  async #open(): Promise<FileConnection> {
    const socket = await connectDaemon(STREAM_PREAMBLE, this.#options);
    socket.write(openFrame({ kind: "files", workspace: this.#workspace }));
    return (this.#ready = new FileConnection(socket));
  }

  async close(): Promise<void> {
    this.#closed = true;
    (await this.#connection?.catch(() => undefined))?.close();
  }
}

function copy(view: ArrayBufferView): Buffer {
  return Buffer.from(Buffer.from(view.buffer, view.byteOffset, view.byteLength));
}

/** One connection; once lost it stays so. */
export class FileConnection {
  readonly #socket: Socket;
  readonly #assembler = new FileCallAssembler();
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  #lost: unknown;

  constructor(socket: Socket) {
    this.#socket = socket;
    receiveFrames(
      socket,
      (frame) => this.#handle(frame),
      (error) => this.#fail(error),
    );
    socket.on("close", () => this.#fail(daemonGone()));
    socket.unref();
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** With `fd` an operation of an open file. */
  async call(request: { op: string; args: readonly unknown[]; fd?: number }): Promise<unknown> {
    if (this.#lost !== undefined) throw this.#lost;
    const id = (this.#calls = (this.#calls + 1) >>> 0);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    // Only who waits for an answer keeps the process alive.
    this.#socket.ref();
    writeFileCall(this.#socket, FrameType.call, { id, value: request }).catch((error: unknown) => {
      this.#settled(id)?.reject(error);
    });
    return promise;
  }

  #handle(frame: Frame): void {
    if (frame.type === FrameType.error) {
      this.#fail(errorFromPlain(jsonPayload(frame) as PlainError));
    } else if (frame.type === FrameType.reply || frame.type === FrameType.part) {
      const answer = this.#assembler.push(frame);
      if (!answer) return;
      const { ok, error } = answer.value as { ok?: unknown; error?: PlainError };
      const waiting = this.#settled(answer.id);
      if (error) waiting?.reject(errorFromPlain(error));
      else waiting?.resolve(ok);
    }
  }

  #settled(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#socket.unref();
    return waiting;
  }

  #fail(error: unknown): void {
    this.#lost ??= error;
    for (const id of this.#waiting.keys()) this.#settled(id)?.reject(error);
  }

  close(): void {
    this.#fail(new DevdevError("ERR_CLOSED", "the workspace was closed by this program"));
    this.#socket.destroy();
  }
}
