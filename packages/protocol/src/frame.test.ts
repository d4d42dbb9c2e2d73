// Frames and file calls survive any cutting of the stream and refuse malformed bytes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFileCall, encodeFileCall } from "./file-call.js";
import { encodeFrame, FrameDecoder, FrameType } from "./frame.js";

test("frames survive any cutting of the stream", () => {
  const types = fc.constantFrom(...Object.values(FrameType));
  const frame = fc.record({ type: types, payload: fc.uint8Array({ maxLength: 300 }) });
  fc.assert(
    fc.property(fc.array(frame), fc.integer({ min: 1, max: 64 }), (frames, cut) => {
      const bytes = Buffer.concat(frames.map((f) => encodeFrame(f.type, f.payload)));
      const decoder = new FrameDecoder();
      const got = [];
      for (let at = 0; at < bytes.length; at += cut) {
        got.push(...decoder.push(bytes.subarray(at, at + cut)));
      }
      expect(got.map((f) => [f.type, [...f.payload]])).toEqual(
        frames.map((f) => [f.type, [...f.payload]]),
      );
    }),
  );
});

test("unknown types and absurd lengths are refused before anything is allocated", () => {
  expect(() => new FrameDecoder().push(Buffer.from([99, 0, 0, 0, 0]))).toThrow(
    "unknown frame type 99",
  );
  expect(() => new FrameDecoder().push(Buffer.from([1, 255, 255, 255, 255]))).toThrow("too long");
});

test("file calls carry bytes, bigints, dates and undefined", () => {
  const value = {
    op: "writeFile",
    args: [Buffer.from([0, 255]), 5n, new Date(7), undefined, { flag: "w" }],
  };
  const { id, value: got } = decodeFileCall(encodeFileCall({ id: 7, value }));
  expect(id).toBe(7);
  expect(got).toEqual(value);
});

test("malformed file calls are typed errors", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeFileCall(Buffer.from(bytes));
      } catch (error) {
        expect(error instanceof RangeError || error instanceof SyntaxError).toBe(true);
      }
    }),
  );
});
