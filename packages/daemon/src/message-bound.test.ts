// What the bound lets pass is unchanged, however it arrives; what it refuses, it names.

import { describe, expect, test } from "vitest";
import { MessageBound } from "./message-bound.js";

/** What comes out, or the error; `step` bytes arrive at once. */
async function passed(text: string, step: number, most = 100): Promise<string> {
  const bound = new MessageBound(most);
  const failed = new Promise<string>((resolve) =>
    bound.once("error", (error) => resolve(error.message)),
  );
  let out = "";
  bound.on("data", (chunk: Buffer) => (out += chunk.toString("latin1")));
  const ended = new Promise<string>((resolve) => bound.once("end", () => resolve(out)));
  const bytes = Buffer.from(text, "latin1");
  for (let at = 0; at < bytes.length; at += step) bound.write(bytes.subarray(at, at + step));
  bound.end();
  return Promise.race([failed, ended]);
}

const message = (body: string): string => `Content-Length: ${body.length}\r\n\r\n${body}`;

describe.each([1, 2, 7, 10_000])("in pieces of %i bytes", (step) => {
  test("messages pass as they are", async () => {
    const odd = "content-LENGTH:\t2\r\nContent-Type: x\r\n\r\n{}";
    const text = message("a\r\n\r\nb") + message("") + odd + message("x".repeat(100));
    expect(await passed(text, step)).toBe(text);
  });

  test("what is too long or no message at all is refused", async () => {
    const huge = message("{}") + "Content-Length: 101\r\n\r\n";
    expect(await passed(huge, step)).toBe("a message of 101 bytes is longer than 100");
    const absurd = `Content-Length: ${"9".repeat(400)}\r\n\r\n`;
    expect(await passed(absurd, step)).toBe(
      `a message of ${"9".repeat(20)} bytes is longer than 100`,
    );
    const without = "a message without a Content-Length";
    expect(await passed("hello\r\n\r\n", step)).toBe(without);
    expect(await passed("Content-Length: -5\r\n\r\n{}", step)).toBe(without);
    const endless = "a message whose header does not end";
    expect(await passed("x".repeat(5000), step)).toBe(endless);
    expect(await passed(`x: ${"y".repeat(5000)}\r\n\r\n`, step)).toBe(endless);
  });
});
