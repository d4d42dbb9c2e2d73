// The daemon's log over a stream connection: the last lines, then, if wanted, what is added.

import type { Socket } from "node:net";
import { FrameType, writeFrame } from "@devdev/protocol";
import { LogReader } from "./log-reader.js";

export async function serveLogs(
  socket: Socket,
  { lines, follow }: { lines: number; follow: boolean },
  logDir: string,
): Promise<void> {
  const closed = new AbortController();
  socket.once("close", () => closed.abort());
  // Nothing more is expected from the client but its end.
  socket.resume();
  const emit = (line: string): Promise<void> =>
    writeFrame(socket, FrameType.stdout, Buffer.from(`${line}\n`));
  const reader = new LogReader(logDir);
  for (const line of await reader.last(lines)) await emit(line);
  if (follow) await reader.follow(emit, closed.signal);
  socket.end();
}
