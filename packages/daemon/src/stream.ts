// A stream connection: the first frame says what it is for.

import type { Socket } from "node:net";
import { DevdevError, errorToPlain } from "@devdev/errno";
import {
  encodeJsonFrame,
  FrameType,
  jsonPayload,
  openSchema,
  type Workspace,
  writeFrame,
} from "@devdev/protocol";
import { runExec } from "./exec-stream.js";
import { serveFiles } from "./file-stream.js";
import { framesOf } from "./frame-source.js";
import { followLog, lastLogLines, type Logger } from "./log.js";

export interface StreamContext {
  /** The workspace a request names, else the one that contains `cwd`, else the only one. */
  select(name: string | undefined, cwd: string | undefined): Promise<Workspace>;
  logDir: string;
  log: Logger;
}

/** Serves one stream connection until it closes. */
export async function serveStream(socket: Socket, context: StreamContext): Promise<void> {
  const frames = framesOf(socket);
  try {
    const first = await frames.next();
    if (first.done) return;
    if (first.value.type !== FrameType.open)
      throw new DevdevError("ERR_PROTOCOL", "the first frame is not `open`");
    const parsed = openSchema.safeParse(jsonPayload(first.value));
    if (!parsed.success)
      throw new DevdevError("ERR_INVALID_PARAMS", `open: ${parsed.error.message}`);
    const open = parsed.data;
    if (open.kind === "exec")
      await runExec(socket, frames, await context.select(open.workspace, open.callerCwd), open);
    else if (open.kind === "files")
      await serveFiles(socket, frames, await context.select(open.workspace, undefined));
    else await serveLogs(socket, open.lines, open.follow, context.logDir);
  } catch (error) {
    context.log.info({ err: error }, "stream failed");
    if (!socket.destroyed) socket.end(encodeJsonFrame(FrameType.error, errorToPlain(error)));
  }
}

async function serveLogs(
  socket: Socket,
  lines: number,
  follow: boolean,
  logDir: string,
): Promise<void> {
  for (const line of await lastLogLines(logDir, lines)) {
    await writeFrame(socket, FrameType.stdout, Buffer.from(`${line}\n`));
  }
  if (follow) {
    const closed = new AbortController();
    socket.once("close", () => closed.abort());
    socket.resume();
    const emit = (line: string): void =>
      void writeFrame(socket, FrameType.stdout, Buffer.from(`${line}\n`));
    await followLog(logDir, emit, closed.signal);
  }
  socket.end();
}
