// File calls on the wire: every kind of value, in one frame or in many, and malformed ones.

import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { decodeFileCall, encodeFileCall, FileCallAssembler, writeFileCall } from "./file-call.js";
import { FrameDecoder, FrameType } from "./frame.js";

const VALUE = {
  op: "writeFile",
  args: [Buffer.from([0, 255]), undefined, 5n, new Date(7), { flag: "a", none: null }, [1, "x"]],
};

test("values come back as they were", () => {
  const { id, value } = decodeFileCall(encodeFileCall({ id: 7, value: VALUE }));
  expect([id, value]).toEqual([7, VALUE]);
  const view = new Uint16Array([1, 2]);
  expect(decodeFileCall(encodeFileCall({ id: 1, value: view })).value).toEqual(
    Buffer.from([1, 0, 2, 0]),
  );
});

test("long ones go in pieces, between which others fit", async () => {
  const stream = new PassThrough({ highWaterMark: 2 ** 30 });
  const long = Buffer.alloc(3 * 2 ** 20 + 5, "abc");
  const sending = [1, 2, 3].map((id) =>
    writeFileCall(stream, FrameType.call, { id, value: id === 2 ? "short" : long }),
  );
  await Promise.all(sending);
  const assembler = new FileCallAssembler();
  const frames = new FrameDecoder().push(stream.read() as Buffer);
  expect(frames.filter(({ type }) => type === FrameType.part)).toHaveLength(6);
  const calls = frames.flatMap((frame) => assembler.push(frame) ?? []);
  expect(calls.map(({ id }) => id)).toEqual([2, 1, 3]);
  expect(calls.filter(({ value }) => Buffer.isBuffer(value) && long.equals(value))).toHaveLength(2);
});

test("malformed ones are refused", () => {
  expect(() => decodeFileCall(Buffer.alloc(7))).toThrow(RangeError);
  const cut = encodeFileCall({ id: 1, value: "text" }).subarray(0, 10);
  expect(() => decodeFileCall(cut)).toThrow(RangeError);
  const outside = Buffer.from('{"$bytes":[0,5]}');
  const prefix = Buffer.from([1, 0, 0, 0, outside.length, 0, 0, 0]);
  expect(() => decodeFileCall(Buffer.concat([prefix, outside]))).toThrow(RangeError);
  const assembler = new FileCallAssembler();
  expect(() => assembler.push({ type: FrameType.part, payload: Buffer.alloc(3) })).toThrow(
    RangeError,
  );
});
