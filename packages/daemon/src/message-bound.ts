// Bounds the messages of a JSON-RPC connection: the library's reader keeps whatever is announced to
// it, so a peer's Content-Length could ask for all memory. Bytes pass unchanged; only headers are
// read.

import type { Socket } from "node:net";
import { Transform, type TransformCallback } from "node:stream";
import { DevdevError } from "@devdev/errno";

/** Ours have 30 bytes. */
const LONGEST_HEADER = 4096;
const END_OF_HEADER = "\r\n\r\n";
const NONE = Buffer.alloc(0);

/** What comes from the socket; it fails at the first message that is longer than `most` bytes. */
export function boundedMessages(socket: Socket, most: number): Transform {
  const bounded = socket.pipe(new MessageBound(most));
  socket.once("close", () => bounded.destroy());
  return bounded;
}

export class MessageBound extends Transform {
  readonly #most: number;
  #header = NONE;
  /** Bytes of the present message that are still to come. */
  #body = 0;

  constructor(most: number) {
    // The connection's end is that of the socket: answers may still be on their way.
    super({ autoDestroy: false });
    this.#most = most;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    try {
      let rest = chunk;
      while (rest.length > 0) rest = this.#body > 0 ? this.#passBody(rest) : this.#passHeader(rest);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  #passBody(bytes: Buffer): Buffer {
    const taken = bytes.subarray(0, this.#body);
    this.#body -= taken.length;
    this.push(taken);
    return bytes.subarray(taken.length);
  }

  #passHeader(bytes: Buffer): Buffer {
    const before = this.#header.length;
    const seen = Buffer.concat([
      this.#header,
      bytes.subarray(0, LONGEST_HEADER + END_OF_HEADER.length),
    ]);
    const at = seen.indexOf(END_OF_HEADER);
    if (at < 0) {
      if (seen.length > LONGEST_HEADER) throw nonsense("a message whose header does not end");
      this.#header = seen;
      return NONE;
    }
    const end = at + END_OF_HEADER.length;
    this.#body = this.#lengthIn(seen.toString("latin1", 0, at));
    this.#header = NONE;
    this.push(seen.subarray(0, end));
    return bytes.subarray(end - before);
  }

  #lengthIn(header: string): number {
    const digits = /^content-length:[ \t]*(\d+)[ \t]*$/im.exec(header)?.[1];
    if (digits === undefined) throw nonsense("a message without a Content-Length");
    const length = Number(digits);
    if (length <= this.#most) return length;
    throw nonsense(`a message of ${digits.slice(0, 20)} bytes is longer than ${this.#most}`);
  }
}

function nonsense(message: string): DevdevError {
  return new DevdevError("ERR_PROTOCOL", message);
}
