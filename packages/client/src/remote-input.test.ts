// Input never exceeds what was granted, and everybody who waits for it is told.

import { PassThrough } from "node:stream";
import { type Frame, FrameDecoder, FrameType, INPUT_WINDOW } from "@devdev/protocol";
import { expect, test } from "vitest";
import { RemoteInput } from "./remote-input.js";

function sink(): { input: RemoteInput; frames: () => Frame[]; sent: () => number } {
  const stream = new PassThrough({ highWaterMark: 2 ** 30 });
  const decoder = new FrameDecoder();
  const all: Frame[] = [];
  const frames = (): Frame[] => {
    const bytes = stream.read() as Buffer | null;
    if (bytes) all.push(...decoder.push(bytes));
    return all;
  };
  const sent = (): number => frames().reduce((sum, { payload }) => sum + payload.length, 0);
  return { input: new RemoteInput(stream), frames, sent };
}

test("a write resolves when its bytes were taken, not before", async () => {
  const { input, sent } = sink();
  const order: string[] = [];
  const big = input.write(Buffer.alloc(INPUT_WINDOW + 10)).then(() => order.push("big"));
  const small = input.write(Buffer.from("x")).then(() => order.push("small"));
  expect(sent()).toBe(INPUT_WINDOW);
  input.credit(INPUT_WINDOW);
  expect(sent()).toBe(INPUT_WINDOW + 11);
  await Promise.resolve();
  expect(order).toEqual([]);
  input.credit(10);
  await big;
  input.credit(1);
  await small;
  expect(order).toEqual(["big", "small"]);
});

test("the end comes behind everything; later writes are refused", async () => {
  const { input, frames } = sink();
  const written = input.write(Buffer.alloc(INPUT_WINDOW + 1));
  const ended = input.end();
  expect(frames().some(({ type }) => type === FrameType.stdinEnd)).toBe(false);
  input.credit(INPUT_WINDOW);
  expect(frames().at(-1)?.type).toBe(FrameType.stdinEnd);
  await expect(input.write(Buffer.from("late"))).rejects.toMatchObject({ code: "EPIPE" });
  input.credit(1);
  await Promise.all([written, ended]);
});

test("when nobody takes it any more, who waits is told", async () => {
  const { input } = sink();
  const written = input.write(Buffer.from("x"));
  const ended = input.end();
  input.gone();
  await expect(written).rejects.toMatchObject({ code: "EPIPE", syscall: "write" });
  await ended;
  await input.end();
});
