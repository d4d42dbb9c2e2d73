// The frames that arrive on a socket, as an async iterable with back-pressure: the socket is read
// only while somebody asks for frames.

import type { Socket } from "node:net";
import { type Frame, FrameDecoder } from "./frame.js";

/** Frames until the peer ends; throws on malformed ones. */
export async function* framesOf(socket: Socket): AsyncGenerator<Frame, void, undefined> {
  const decoder = new FrameDecoder();
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    yield* decoder.push(chunk as Buffer);
  }
}
