// A call of the file API on its way: u32le id, u32le header length, JSON header, then the bytes of
// every buffer in it. Buffers are cut out of the JSON and put back at the other side, so that file
// contents never become text. A long one travels in pieces, each with the id in front.

import type { Duplex } from "node:stream";
import { type Frame, FrameType, writeFrame } from "./frame.js";

/** What travels: the operation and its arguments, or its result. */
export interface FileCall {
  id: number;
  value: unknown;
}

const ID_BYTES = 4;
const PREFIX_BYTES = 8;
const PIECE_BYTES = 1024 * 1024;
/** Node itself reads no longer file at once; some room for the rest of the call. */
const LONGEST_CALL = 2 ** 31 + PIECE_BYTES;
/** Property that stands for a cut-out: [index of the buffer's start, length]. */
const CUT = "$bytes";
/** Property that stands for a bigint, a date or undefined in an argument list. */
const BIGINT = "$bigint";
const DATE = "$date";
const UNDEFINED = "$undefined";

function plain(value: unknown, cuts: Uint8Array[], offset: { at: number }): unknown {
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    const start = offset.at;
    cuts.push(bytes);
    offset.at += bytes.length;
    return { [CUT]: [start, bytes.length] };
  }
  if (typeof value === "bigint") return { [BIGINT]: value.toString() };
  if (value instanceof Date) return { [DATE]: value.getTime() };
  if (value === undefined) return { [UNDEFINED]: 1 };
  if (Array.isArray(value)) return value.map((item) => plain(item, cuts, offset));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => typeof item !== "function");
    return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, cuts, offset)]));
  }
  return value;
}

function revive(value: unknown, bytes: Buffer): unknown {
  if (Array.isArray(value)) return value.map((item) => revive(item, bytes));
  if (typeof value !== "object" || value === null) return value;
  const record = value as Record<string, unknown>;
  if (CUT in record) {
    const [start, length] = record[CUT] as [number, number];
    if (!(start >= 0 && length >= 0 && start + length <= bytes.length)) {
      throw new RangeError("a file call names bytes outside its frame");
    }
    return bytes.subarray(start, start + length);
  }
  if (BIGINT in record) return BigInt(record[BIGINT] as string);
  if (DATE in record) return new Date(record[DATE] as number);
  if (UNDEFINED in record) return undefined;
  return Object.fromEntries(
    Object.entries(record).map(([key, item]) => [key, revive(item, bytes)]),
  );
}

/** A call or an answer as bytes. */
export function encodeFileCall(call: FileCall): Buffer {
  const cuts: Uint8Array[] = [];
  const header = Buffer.from(JSON.stringify(plain(call.value, cuts, { at: 0 })));
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt32LE(call.id, 0);
  prefix.writeUInt32LE(header.length, 4);
  return Buffer.concat([prefix, header, ...cuts]);
}

/** The reverse; throws RangeError or SyntaxError on malformed bytes. */
export function decodeFileCall(payload: Buffer): FileCall {
  if (payload.length < PREFIX_BYTES) throw new RangeError("a file call is shorter than its prefix");
  const end = PREFIX_BYTES + payload.readUInt32LE(4);
  if (end > payload.length) throw new RangeError("a file call's header is cut off");
  const value: unknown = JSON.parse(payload.toString("utf8", PREFIX_BYTES, end));
  return { id: payload.readUInt32LE(0), value: revive(value, payload.subarray(end)) };
}

/** Sends a call or an answer, in pieces if it is long; resolves when more may be sent. */
export async function writeFileCall(
  stream: Duplex,
  type: typeof FrameType.call | typeof FrameType.reply,
  call: FileCall,
): Promise<void> {
  const bytes = encodeFileCall(call);
  const id = bytes.subarray(0, ID_BYTES);
  let at = ID_BYTES;
  for (; bytes.length - at > PIECE_BYTES; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    await writeFrame(stream, FrameType.part, Buffer.concat([id, piece]));
  }
  // Short ones, which are most, take this way only, and in the order in which they were sent.
  const rest = at === ID_BYTES ? bytes : Buffer.concat([id, bytes.subarray(at)]);
  await writeFrame(stream, type, rest);
}

/** Puts calls together again: `push` returns one when it is complete. */
export class FileCallAssembler {
  readonly #parts = new Map<number, Buffer[]>();
  #held = 0;

  /** `frame` is a part or the end of a call; throws on malformed ones. */
  push(frame: Frame): FileCall | undefined {
    const { type, payload } = frame;
    if (payload.length < ID_BYTES) throw new RangeError("a file call is shorter than its prefix");
    const id = payload.readUInt32LE(0);
    const parts = this.#parts.get(id);
    if (type === FrameType.part) {
      const piece = payload.subarray(ID_BYTES);
      this.#held += piece.length;
      if (this.#held > LONGEST_CALL) throw new RangeError("a file call is too long");
      if (parts) parts.push(piece);
      else this.#parts.set(id, [piece]);
      return undefined;
    }
    if (!parts) return decodeFileCall(payload);
    this.#parts.delete(id);
    for (const { length } of parts) this.#held -= length;
    const prefix = payload.subarray(0, ID_BYTES);
    return decodeFileCall(Buffer.concat([prefix, ...parts, payload.subarray(ID_BYTES)]));
  }
}
