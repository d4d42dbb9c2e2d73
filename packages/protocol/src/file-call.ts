// A call of the file API as a frame: u32le id, u32le header length, JSON header, then the bytes of
// every buffer in it.
// Buffers are cut out of the JSON and put back at the other side, so that file contents never
// become text.

/** What travels: the operation and its arguments, or its result. */
export interface FileCall {
  id: number;
  value: unknown;
}

const PREFIX_BYTES = 8;
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

/** A call or an answer as the payload of a frame. */
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
