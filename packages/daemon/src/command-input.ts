// What a client sends to a command that runs: input, size, signals. Input waits for the command,
// and only input: a signal gets through to one that does not read.

import {
  encodeJsonFrame,
  type ExecProcess,
  type Frame,
  FrameType,
  INPUT_WINDOW,
  jsonPayload,
  writeFrame,
} from "@devdev/protocol";
import { errorToPlain } from "@devdev/errno";
import type { Socket } from "node:net";

export class CommandInput {
  readonly #socket: Socket;
  readonly #process: ExecProcess;
  #underWay = 0;
  #writing: Promise<void> = Promise.resolve();
  #gone = false;

  constructor(socket: Socket, process: ExecProcess) {
    this.#socket = socket;
    this.#process = process;
  }

  /** Carries frames until there are no more; throws on those that make no sense. */
  async carry(frames: AsyncIterable<Frame>): Promise<void> {
    for await (const frame of frames) this.#handle(frame);
  }

  #handle(frame: Frame): void {
    const process = this.#process;
    switch (frame.type) {
      case FrameType.stdin:
        this.#underWay += frame.payload.length;
        // Our clients keep to it; without it the daemon's memory would be the client's.
        if (this.#underWay > INPUT_WINDOW) throw new RangeError("more input than was granted");
        this.#writing = this.#writing.then(() => this.#write(frame.payload));
        return;
      case FrameType.stdinEnd:
        this.#writing = this.#writing.then(() => this.#end());
        return;
      case FrameType.resize: {
        const { cols, rows } = jsonPayload(frame) as { cols: number; rows: number };
        process.resize(cols, rows).catch(lateIsFine);
        return;
      }
      case FrameType.signal: {
        const { signal } = jsonPayload(frame) as { signal: NodeJS.Signals };
        process.kill(signal).catch(lateIsFine);
        return;
      }
      default:
        throw new RangeError(`a frame of type ${frame.type} makes no sense here`);
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    try {
      if (!this.#gone) await this.#process.write(bytes);
      this.#underWay -= bytes.length;
      const credit = Buffer.allocUnsafe(4);
      credit.writeUInt32LE(bytes.length);
      await writeFrame(this.#socket, FrameType.credit, credit);
    } catch (error) {
      this.#gone = true;
      this.#underWay -= bytes.length;
      if (this.#socket.writable) {
        this.#socket.write(encodeJsonFrame(FrameType.stdinGone, errorToPlain(error)));
      }
    }
  }

  async #end(): Promise<void> {
    // The command may be gone, which is an end as well.
    await this.#process.end().catch(lateIsFine);
  }
}

/** The command may have ended meanwhile: its exit status says what matters. */
function lateIsFine(): void {}
