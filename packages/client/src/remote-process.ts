// A command that runs in a workspace of the daemon, over a stream connection of its own.

import type { Socket } from "node:net";
import { constants } from "node:os";
import { argumentError, errorFromPlain, type PlainError } from "@devdev/errno";
import {
  type ExecOptions,
  type ExecProcess,
  type ExecWord,
  type ExitStatus,
  type Frame,
  FrameType,
  jsonPayload,
  type Open,
  STREAM_PREAMBLE,
  writeFrame,
} from "@devdev/protocol";
import {
  checkVersion,
  connectDaemon,
  type ConnectOptions,
  daemonGone,
  openFrame,
  receiveFrames,
} from "./connect.js";
import { RemoteInput } from "./remote-input.js";

type OutputListener = (chunk: Buffer, stream: "stdout" | "stderr") => void;

/** What to run, and for whom. */
export interface RemoteCommand {
  workspace?: string;
  callerCwd?: string;
  argv: readonly ExecWord[];
  options: ExecOptions & { shell?: boolean };
}

export class RemoteProcess implements ExecProcess {
  pid = 0;
  readonly #socket: Socket;
  readonly #input: RemoteInput;
  /** Output and, last, the exit status: in order, until somebody takes them. */
  readonly #frames: Frame[] = [];
  #listener: OutputListener | undefined;
  #paused = false;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<ExitStatus>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#input = new RemoteInput(socket);
    // Failures belong to whoever waits.
    this.#opened.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
    receiveFrames(
      socket,
      (frame) => this.#handle(frame),
      (error) => this.#fail(error),
    );
    // After the frames of a chunk, which are taken by then.
    socket.on("data", () => this.#flow());
    socket.on("close", () => {
      // An exit status that came may still wait behind output.
      if (!this.#frames.some(({ type }) => type === FrameType.exit)) {
        this.#fail(daemonGone(" while the command ran"));
      }
    });
  }

  /** Starts it; rejects when it could not be started (127 and 126 come as exit codes of `wait`). */
  static async start(command: RemoteCommand, options: ConnectOptions = {}): Promise<RemoteProcess> {
    const socket = await connectDaemon(STREAM_PREAMBLE, options);
    const process = new RemoteProcess(socket);
    socket.write(openFrame(openMessage(command)));
    try {
      await process.#opened.promise;
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return process;
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case FrameType.stdout:
      case FrameType.stderr:
      case FrameType.exit:
        this.#frames.push(frame);
        return undefined;
      case FrameType.opened: {
        const opened = jsonPayload(frame) as { pid: number; version: string; protocol: number };
        checkVersion(opened);
        this.pid = opened.pid;
        return this.#opened.resolve();
      }
      case FrameType.credit:
        return this.#input.credit(frame.payload.readUInt32LE(0));
      case FrameType.stdinGone:
        return this.#input.gone(errorFromPlain(jsonPayload(frame) as PlainError));
      case FrameType.error:
        return this.#fail(errorFromPlain(jsonPayload(frame) as PlainError));
      default:
        throw new RangeError(`a frame of type ${frame.type} makes no sense here`);
    }
  }

  /** Hands over what may be handed over, and reads on only if somebody takes it. */
  #flow(): void {
    for (let next = this.#frames[0]; next !== undefined; next = this.#frames[0]) {
      if (next.type === FrameType.exit) {
        this.#input.gone();
        this.#ended.resolve(jsonPayload(next) as ExitStatus);
      } else if (this.#listener === undefined || this.#paused) break;
      else this.#listener(next.payload, next.type === FrameType.stderr ? "stderr" : "stdout");
      this.#frames.shift();
    }
    if (this.#frames.length > 0) this.#socket.pause();
    else this.#socket.resume();
  }

  #fail(error: unknown): void {
    this.#opened.reject(error);
    this.#ended.reject(error);
    this.#input.gone();
  }

  onOutput(listener: OutputListener): void {
    this.#listener = listener;
    this.#flow();
  }

  /** Rejects with EPIPE when the command no longer reads; need not be awaited. */
  write(bytes: Uint8Array | string): Promise<void> {
    return this.#input.write(Buffer.from(bytes as Uint8Array));
  }

  end(): Promise<void> {
    return this.#input.end();
  }

  async resize(cols: number, rows: number): Promise<void> {
    for (const value of [cols, rows]) {
      if (Number.isInteger(value) && value >= 0 && value <= 0xffff) continue;
      const message = `terminal size out of range: ${value}`;
      throw argumentError("RangeError", "ERR_OUT_OF_RANGE", message);
    }
    await writeFrame(this.#socket, FrameType.resize, Buffer.from(JSON.stringify({ cols, rows })));
  }

  async kill(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (constants.signals[signal] === undefined) {
      throw argumentError("TypeError", "ERR_UNKNOWN_SIGNAL", `Unknown signal: ${signal}`);
    }
    await writeFrame(this.#socket, FrameType.signal, Buffer.from(JSON.stringify({ signal })));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  async wait(): Promise<ExitStatus> {
    // Without a listener the output is dropped.
    if (this.#listener === undefined) this.onOutput(() => undefined);
    try {
      return await this.#ended.promise;
    } finally {
      this.#socket.destroy();
    }
  }

  /** Lets go of the command, which gets SIGHUP if it still runs. */
  abandon(): void {
    this.#socket.destroy();
  }
}

function openMessage({ workspace, callerCwd, argv, options }: RemoteCommand): Open {
  const { passEnv = [], profiles = [], callerEnv = process.env, stdin: _, ...rest } = options;
  // Profiles know which variables a toolchain needs; without one only what is named leaves.
  const names = profiles.length > 0 ? Object.keys(callerEnv) : passEnv;
  const taken = names.flatMap((name) =>
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
      passEnv,
      profiles,
      callerEnv: Object.fromEntries(taken) as Record<string, string>,
    },
  };
}
