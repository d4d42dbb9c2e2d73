// git's binary patches: the new content, then the old one, each deflated and in base 85; as a delta
// where that is shorter. Content that is not in memory comes and goes in pieces.

import { createHash } from "node:crypto";
import { createDeflate, deflateSync } from "node:zlib";

import type { Pair, Side } from "./sides.js";

const ALPHABET = Buffer.from(
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
);
/** Bytes on a line. */
const LINE = 52;
const NO_BLOB = "0".repeat(40);
/** What one copy of a delta may take, and one insertion. */
const [MOST_COPIED, MOST_INSERTED] = [0xffffff, 0x7f];

/** The line of ids without which git applies no binary patch, and the patch itself. */
export async function* binaryPatch({ before, after }: Pair): AsyncGenerator<Buffer> {
  const [old, fresh] = [await blobId(before), await blobId(after)];
  const mode = before && after && before.mode === after.mode ? ` ${after.mode}` : "";
  yield Buffer.from(`index ${old}..${fresh}${mode}\nGIT binary patch\n`);
  yield* half(before, after);
  yield* half(after, before);
}

async function blobId(side: Side | undefined): Promise<string> {
  if (!side) return NO_BLOB;
  const hash = createHash("sha1").update(`blob ${side.size}\0`);
  for await (const piece of side.pieces()) hash.update(piece);
  return hash.digest("hex");
}

/** What makes `to` of `from`. */
async function* half(from: Side | undefined, to: Side | undefined): AsyncGenerator<Buffer> {
  const short = shortest(from?.content, to ? to.content : Buffer.alloc(0));
  if (short) {
    yield Buffer.from(`${short.kind} ${short.size}\n`);
    yield* linesOf(only(short.deflated));
  } else if (to) {
    yield Buffer.from(`literal ${to.size}\n`);
    yield* linesOf(deflated(to));
  }
  yield Buffer.from("\n");
}

interface Deflated {
  kind: "literal" | "delta";
  size: number;
  deflated: Buffer;
}

function shortest(from: Buffer | undefined, to: Buffer | undefined): Deflated | undefined {
  if (!to) return undefined;
  const literal: Deflated = { kind: "literal", size: to.length, deflated: deflateSync(to) };
  if (!from?.length || to.length === 0) return literal;
  const bytes = delta(from, to);
  const other: Deflated = { kind: "delta", size: bytes.length, deflated: deflateSync(bytes) };
  return other.deflated.length < literal.deflated.length ? other : literal;
}

/** Copies what both begin and end with, inserts what is between. */
function delta(from: Buffer, to: Buffer): Buffer {
  const most = Math.min(from.length, to.length);
  let start = 0;
  while (start < most && from[start] === to[start]) start++;
  let end = 0;
  while (end < most - start && from[from.length - 1 - end] === to[to.length - 1 - end]) end++;
  const parts = [length(from.length), length(to.length), ...copies(0, start)];
  for (let at = start; at < to.length - end; at += MOST_INSERTED) {
    const piece = to.subarray(at, Math.min(at + MOST_INSERTED, to.length - end));
    parts.push(Buffer.from([piece.length]), piece);
  }
  return Buffer.concat([...parts, ...copies(from.length - end, end)]);
}

function length(value: number): Buffer {
  const bytes = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    bytes.push((left % 128) + (left >= 128 ? 128 : 0));
    if (left < 128) return Buffer.from(bytes);
  }
}

function copies(offset: number, size: number): Buffer[] {
  const parts = [];
  for (let at = 0; at < size; at += MOST_COPIED) {
    const op = Buffer.alloc(8);
    op[0] = 0xff;
    op.writeUInt32LE(offset + at, 1);
    op.writeUIntLE(Math.min(MOST_COPIED, size - at), 5, 3);
    parts.push(op);
  }
  return parts;
}

async function* only(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece;
}

async function* deflated(side: Side): AsyncGenerator<Buffer> {
  const stream = createDeflate();
  const feeding = (async () => {
    for await (const piece of side.pieces()) {
      if (!stream.write(piece)) await new Promise((resolve) => stream.once("drain", resolve));
    }
    stream.end();
  })();
  feeding.catch((error: Error) => stream.destroy(error));
  yield* stream as AsyncIterable<Buffer>;
  await feeding;
}

async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    const all = Buffer.concat([rest, piece]);
    const whole = all.length - (all.length % LINE);
    const lines = [];
    for (let at = 0; at < whole; at += LINE) lines.push(lineOf(all.subarray(at, at + LINE)));
    if (lines.length > 0) yield Buffer.concat(lines);
    rest = all.subarray(whole);
  }
  if (rest.length > 0) yield lineOf(rest);
}

function lineOf(bytes: Buffer): Buffer {
  const groups = Math.ceil(bytes.length / 4);
  const line = Buffer.alloc(groups * 5 + 2, "\n");
  // A to Z are 1 to 26, a to z 27 to 52.
  line[0] = bytes.length <= 26 ? 64 + bytes.length : 70 + bytes.length;
  const padded = Buffer.alloc(groups * 4);
  bytes.copy(padded);
  for (let group = 0; group < groups; group++) {
    let value = padded.readUInt32BE(group * 4);
    for (let digit = 5; digit > 0; digit--) {
      line[group * 5 + digit] = ALPHABET[value % 85] as number;
      value = Math.floor(value / 85);
    }
  }
  return line;
}
