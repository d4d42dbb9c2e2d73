// A command that runs in a workspace of the daemon, over a stream connection of its own.

import type { Socket } from "node:net";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import {
  encodeJsonFrame,
  type ExecOptions,
  type ExecProcess,
  type ExecWord,
  type ExitStatus,
  type Frame,
  FrameDecoder,
  FrameType,
  jsonPayload,
  type Open,
  STREAM_PREAMBLE,
  writeFrame,
} from "@devdev/protocol";
import { checkVersion, connectDaemon, type ConnectOptions } from "./connect.js";

type OutputListener = (chunk: Buffer, stream: "stdout" | "stderr") => void;

/** What to run, and for whom. */
export interface RemoteCommand {
  workspace?: string;
  callerCwd?: string;
  argv: readonly ExecWord[];
  options: ExecOptions & { shell?: boolean };
}

const PIECE_BYTES = 256 * 1024;

export class RemoteProcess implements ExecProcess {
  pid = 0;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #listeners: OutputListener[] = [];
  readonly #early: Array<[Buffer, "stdout" | "stderr"]> = [];
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<ExitStatus>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#opened.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () =>
      this.#fail(new DevdevError("ERR_DAEMON_GONE", "the daemon went away while the command ran")),
    );
  }

  /** Starts it; rejects when it could not be started (127 and 126 come as exit codes of `wait`). */
  static async start(command: RemoteCommand, options: ConnectOptions = {}): Promise<RemoteProcess> {
    const socket = await connectDaemon(STREAM_PREAMBLE, options);
    const process = new RemoteProcess(socket);
    socket.write(encodeJsonFrame(FrameType.open, openMessage(command)));
    await process.#opened.promise;
    return process;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#handle(frame);
    } catch (error) {
      this.#fail(error);
      this.#socket.destroy();
    }
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case FrameType.stdout:
        return this.#emit(frame.payload, "stdout");
      case FrameType.stderr:
        return this.#emit(frame.payload, "stderr");
      case FrameType.opened: {
        const opened = jsonPayload(frame) as { pid: number; version: string; protocol: number };
        checkVersion(opened);
        this.pid = opened.pid;
        return this.#opened.resolve();
      }
      case FrameType.exit:
        return this.#ended.resolve(jsonPayload(frame) as ExitStatus);
      case FrameType.error:
        return this.#fail(errorFromPlain(jsonPayload(frame) as PlainError));
      default:
        throw new RangeError(`a frame of type ${frame.type} makes no sense here`);
    }
  }

  #emit(chunk: Buffer, stream: "stdout" | "stderr"): void {
    if (this.#listeners.length === 0) this.#early.push([chunk, stream]);
    else this.#listeners.forEach((listener) => listener(chunk, stream));
  }

  #fail(error: unknown): void {
    this.#opened.reject(error);
    this.#ended.reject(error);
  }

  onOutput(listener: OutputListener): void {
    this.#listeners.push(listener);
    this.#early.splice(0).forEach(([chunk, stream]) => listener(chunk, stream));
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    const all = Buffer.from(bytes as Uint8Array);
    for (let at = 0; at < all.length; at += PIECE_BYTES) {
      await writeFrame(this.#socket, FrameType.stdin, all.subarray(at, at + PIECE_BYTES));
    }
  }

  async end(): Promise<void> {
    await writeFrame(this.#socket, FrameType.stdinEnd);
  }

  async resize(cols: number, rows: number): Promise<void> {
    await writeFrame(this.#socket, FrameType.resize, Buffer.from(JSON.stringify({ cols, rows })));
  }

  async kill(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await writeFrame(this.#socket, FrameType.signal, Buffer.from(JSON.stringify({ signal })));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async wait(): Promise<ExitStatus> {
    try {
      return await this.#ended.promise;
    } finally {
      this.#socket.destroy();
    }
  }
}

function openMessage({ workspace, callerCwd, argv, options }: RemoteCommand): Open {
  const { passEnv = [], callerEnv = process.env, env = {}, stdin: _, ...rest } = options;
  const passed = passEnv.flatMap((name) =>
    callerEnv[name] === undefined ? [] : [[name, callerEnv[name]]],
  );
  const words = argv.map((word) =>
    typeof word === "string" ? word : { b64: word.toString("base64") },
  );
  return {
    kind: "exec",
    ...(workspace !== undefined && { workspace }),
    ...(callerCwd !== undefined && { callerCwd }),
    argv: words,
    options: {
      ...rest,
      env: { ...(Object.fromEntries(passed) as Record<string, string>), ...env },
    },
  };
}
