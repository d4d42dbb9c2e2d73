// Binary frames for what must not travel as JSON: terminal bytes and file contents. A frame is
// u8 type, u32le length, payload; a connection that carries them begins with STREAM_PREAMBLE.

import type { Duplex } from "node:stream";

/** First line of a connection that speaks JSON-RPC. */
export const RPC_PREAMBLE = "devdev-rpc/1\n";
/** First line of a connection that carries frames. */
export const STREAM_PREAMBLE = "devdev-stream/1\n";
/** Longest payload a peer accepts: 64 MiB. Longer data is sent in pieces. */
export const MAX_FRAME = 64 * 1024 * 1024;
/** So much input may be on its way to a command that does not take it. */
export const INPUT_WINDOW = 1024 * 1024;
const HEADER_BYTES = 5;

/** What a frame carries. Numbers are part of the protocol and never reused. */
export const FrameType = {
  /** JSON: what the connection is for (the first frame). */
  open: 1,
  /** JSON: the opened thing is there (pid of a command). */
  opened: 2,
  /** JSON: a serialised error; the connection ends. */
  error: 3,
  /** Bytes for standard input. */
  stdin: 4,
  /** End of standard input (no payload). */
  stdinEnd: 5,
  /** Bytes of standard output, or of the terminal. */
  stdout: 6,
  /** Bytes of standard error. */
  stderr: 7,
  /** JSON {cols, rows}. */
  resize: 8,
  /** JSON {signal}. */
  signal: 9,
  /** JSON ExitStatus: the last frame of a command. */
  exit: 10,
  /** A file call: see file-call.ts. */
  call: 11,
  /** Its answer. */
  reply: 12,
  /** u32le: the command has taken so many bytes of input, as many more may be sent. */
  credit: 13,
  /** A piece of a long file call or answer, before the frame that ends it: see file-call.ts. */
  part: 14,
  /** JSON: a serialised error; the command takes no more input. */
  stdinGone: 15,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export interface Frame {
  type: FrameType;
  payload: Buffer;
}

const KNOWN = new Set<number>(Object.values(FrameType));

/** A frame as bytes; throws RangeError above MAX_FRAME. */
export function encodeFrame(type: FrameType, payload: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.concat([frameHeader(type, payload.length), payload]);
}

function frameHeader(type: FrameType, length: number): Buffer {
  if (length > MAX_FRAME) {
    throw new RangeError(`a frame of ${length} bytes is longer than ${MAX_FRAME}`);
  }
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt8(type, 0);
  header.writeUInt32LE(length, 1);
  return header;
}

/** A frame whose payload is JSON. */
export function encodeJsonFrame(type: FrameType, value: unknown): Buffer {
  return encodeFrame(type, Buffer.from(JSON.stringify(value)));
}

/** The payload of a JSON frame; a SyntaxError says what is wrong. */
export function jsonPayload(frame: Frame): unknown {
  return JSON.parse(frame.payload.toString("utf8"));
}

/**
 * Cuts a byte stream into frames; `push` returns those that are complete. Throws on unknown types
 * and lengths.
 */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wanted = HEADER_BYTES;

  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const frames: Frame[] = [];
    while (this.#bytes >= this.#wanted) {
      const all =
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#chunks = [all];
      const length = all.readUInt32LE(1);
      const type = all.readUInt8(0);
      if (!KNOWN.has(type)) throw new RangeError(`unknown frame type ${type}`);
      if (length > MAX_FRAME) throw new RangeError(`a frame of ${length} bytes is too long`);
      this.#wanted = HEADER_BYTES + length;
      if (this.#bytes < this.#wanted) break;
      frames.push({ type: type as FrameType, payload: all.subarray(HEADER_BYTES, this.#wanted) });
      const rest = all.subarray(this.#wanted);
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#bytes = rest.length;
      this.#wanted = HEADER_BYTES;
    }
    return frames;
  }
}

/** Writes a frame and waits when the peer is slow. Resolves when more may be written. */
export function writeFrame(
  stream: Duplex,
  type: FrameType,
  payload: Uint8Array = new Uint8Array(),
): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve();
  // Two writes that leave as one: a long payload is not copied behind its header.
  stream.cork();
  stream.write(frameHeader(type, payload.length));
  const goOn = payload.length === 0 || stream.write(payload);
  stream.uncork();
  if (goOn) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.once("drain", done);
    stream.once("close", done);
  });
}
