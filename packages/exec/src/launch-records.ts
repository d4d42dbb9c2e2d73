// What the launcher says on its control socket, decoded as it comes (native/helper/src/launch.rs).
import type net from "node:net";

import { errnoName, LAUNCH_STAGES, LaunchError, type LaunchStage } from "./launch-error.js";

/** What the launcher says, with its own descriptors: stdin, stdout, stderr, or the slave alone. */
export type LaunchRecord =
  | { type: "ready"; descriptors: [number, number, number] }
  | { type: "error"; stage: LaunchStage; code: string; path: string };

/** Splits records off received bytes; undefined until one is complete. Throws on anything else. */
export function decodeRecord(input: Buffer): { record: LaunchRecord; length: number } | undefined {
  if (input.length === 0) return undefined;
  switch (input[0]) {
    case 0x52: {
      if (input.length < 13) return undefined;
      const descriptors: [number, number, number] = [
        input.readInt32LE(1),
        input.readInt32LE(5),
        input.readInt32LE(9),
      ];
      return { record: { type: "ready", descriptors }, length: 13 };
    }
    case 0x45: {
      if (input.length < 10) return undefined;
      const length = 10 + input.readUInt32LE(6);
      if (input.length < length) return undefined;
      const stage = LAUNCH_STAGES[input.readUInt8(1)];
      if (stage === undefined) throw foreign();
      const code = errnoName(input.readInt32LE(2));
      const path = input.toString("utf8", 10, length);
      return { record: { type: "error", stage, code, path }, length };
    }
    default:
      throw foreign();
  }
}

/** The helper is of another version. */
function foreign(): LaunchError {
  return new LaunchError({ stage: "connect", code: "EPROTO" });
}

/** Turns what arrives on the control socket into records; undefined is the end of file. */
export class RecordReader {
  #buffer = Buffer.alloc(0);
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(control: net.Socket) {
    control.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    // A reset or EPIPE is a helper that is gone: the same as its end of file.
    control.on("end", end).on("error", end).on("close", end);
  }

  fail(error: Error): void {
    this.#error = error;
    this.#wake();
  }

  async next(): Promise<LaunchRecord | undefined> {
    for (;;) {
      if (this.#error) throw this.#error;
      const decoded = decodeRecord(this.#buffer);
      if (decoded) {
        this.#buffer = this.#buffer.subarray(decoded.length);
        return decoded.record;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
