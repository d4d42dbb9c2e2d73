// Checking what callers pass, as node:fs does: the same classes, codes and conversions. Nothing
// here touches the engine.

import { inspect } from "node:util";
import { argumentError } from "@devdev/errno";
import type { Data, EncodingOption, PathArgument, TimeArgument } from "@devdev/protocol";

/** A time for the engine; nothing in it means "now". */
export interface PlainTime {
  secs?: number;
  nanos?: number;
}

function shown(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const message = `The "${name}" argument must be ${expected}. Received ${shown(value)}`;
  return argumentError("TypeError", "ERR_INVALID_ARG_TYPE", message);
}

export function invalidValue(name: string, value: unknown, reason = "is invalid"): TypeError {
  const message = `The argument '${name}' ${reason}. Received ${shown(value)}`;
  return argumentError("TypeError", "ERR_INVALID_ARG_VALUE", message);
}

export function outOfRange(name: string, range: string, value: unknown): RangeError {
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${shown(value)}`;
  return argumentError("RangeError", "ERR_OUT_OF_RANGE", message);
}

/** The bytes of a path. */
export function pathBytes(path: PathArgument, name = "path"): Uint8Array {
  if (typeof path === "string") {
    if (path.includes("\0")) throw invalidValue(name, path, "must be without null bytes");
    return Buffer.from(path);
  }
  if (!((path as unknown) instanceof Uint8Array)) {
    throw invalidType(name, "of type string or an instance of Buffer", path);
  }
  if (path.includes(0)) throw invalidValue(name, path, "must be without null bytes");
  return path;
}

/** The encoding among options that may be options or an encoding; undefined stands for bytes. */
export function encodingOf(
  options: { encoding?: EncodingOption } | EncodingOption | undefined,
  otherwise: BufferEncoding | undefined,
): BufferEncoding | undefined {
  const chosen = typeof options === "object" && options !== null ? options.encoding : options;
  if (chosen === undefined || chosen === null) return otherwise;
  if (chosen === "buffer") return undefined;
  if (typeof chosen !== "string")
    throw invalidType("options", "of type string or an object", chosen);
  if (!Buffer.isEncoding(chosen)) throw invalidValue("encoding", chosen, "is invalid encoding");
  return chosen;
}

/** Bytes as a name or content in that encoding. */
export function encoded(bytes: Uint8Array, encoding: BufferEncoding | undefined): string | Buffer {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return encoding === undefined ? buffer : buffer.toString(encoding);
}

/** The bytes of content to write. */
export function dataBytes(data: Data, encoding: BufferEncoding | null | undefined): Uint8Array {
  if (typeof data === "string") return Buffer.from(data, encodingOf(encoding, "utf8"));
  if (!ArrayBuffer.isView(data)) {
    throw invalidType(
      "data",
      "of type string or an instance of Buffer, TypedArray, or DataView",
      data,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function integer(
  value: unknown,
  name: string,
  min = Number.MIN_SAFE_INTEGER,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
  return value;
}

/** A file mode: a number or octal digits. */
export function modeOf(mode: unknown, name: string, otherwise?: number): number {
  if ((mode === undefined || mode === null) && otherwise !== undefined) return otherwise;
  if (typeof mode === "string") {
    if (!/^[0-7]+$/.test(mode)) {
      throw invalidValue(name, mode, "must be a 32-bit unsigned integer or an octal string");
    }
    return integer(Number.parseInt(mode, 8), name, 0, 0xffffffff);
  }
  return integer(mode, name, 0, 0xffffffff);
}

/** A user or group id; -1 leaves it alone. */
export function ownerOf(id: number, name: string): number | null {
  return integer(id, name, -1, 0xffffffff) === -1 ? null : id >= 0xffffffff ? null : id;
}

function seconds(time: TimeArgument, name: string): number {
  if (typeof time === "string" && time.trim() !== "" && Number.isFinite(Number(time))) {
    return Number(time);
  }
  if (typeof time === "number" && Number.isFinite(time)) return time < 0 ? Date.now() / 1000 : time;
  if ((time as unknown) instanceof Date) return (time as Date).getTime() / 1000;
  throw invalidType(name, "an instance of Date or a time in seconds", time);
}

/** A time to set, split as libuv splits it. */
export function timeOf(time: TimeArgument, name: string): PlainTime {
  const value = seconds(time, name);
  if (Number.isNaN(value)) throw invalidType(name, "a valid Date", time);
  let secs = Math.trunc(value);
  let nanos = Math.trunc((value - secs) * 1e9);
  if (nanos < 0) {
    nanos += 1e9;
    secs -= 1;
  }
  return { secs, nanos };
}
