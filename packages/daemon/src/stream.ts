// A stream connection: the first frame says what it is for.

import type { Socket } from "node:net";
import { DevdevError, errorToPlain } from "@devdev/errno";
import {
  encodeJsonFrame,
  type Frame,
  framesOf,
  FrameType,
  jsonPayload,
  openSchema,
  PROTOCOL_VERSION,
  VERSION,
  type Workspace,
} from "@devdev/protocol";
import type { Host } from "@devdev/workspace";
import { serveDiff, servePatch, serveShow } from "./diff-stream.js";
import { runExec } from "./exec-stream.js";
import { serveFiles } from "./file-stream.js";
import { invalidParams } from "./invalid-params.js";
import type { Logger } from "./log.js";
import { serveLogs } from "./log-stream.js";
import { serveMerge } from "./merge-stream.js";
import { serveExport, serveImport } from "./transfer-stream.js";

/** A client has this long to say what the connection is for. */
const OPEN_TIMEOUT_MS = 5000;

export interface StreamContext {
  /** The workspace a request names, else the one that contains `cwd`, else the only one. */
  select(name: string | undefined, cwd: string | undefined): Promise<Workspace>;
  /** All of them; refuses when the daemon is stopping. */
  host(): Host;
  logDir: string;
  log: Logger;
}

/** Serves one stream connection until it closes. */
export async function serveStream(socket: Socket, context: StreamContext): Promise<void> {
  const { log, logDir } = context;
  const frames = framesOf(socket);
  try {
    const open = await firstFrame(socket, frames);
    if (!open) return;
    if (open.kind === "exec") {
      const workspace = await context.select(open.workspace, open.callerCwd);
      await runExec(socket, frames, { workspace, open, log });
    } else if (open.kind === "files") {
      await serveFiles(socket, frames, await context.select(open.workspace, undefined));
    } else if (open.kind === "logs") await serveLogs(socket, open, logDir);
    else if (open.kind === "patch") await servePatch(socket, open, context.host());
    else if (open.kind === "diff") await serveDiff(socket, open, context.host());
    else if (open.kind === "show") await serveShow(socket, open, context.host());
    else if (open.kind === "merge") await serveMerge(socket, open, context.host());
    else if (open.kind === "export") await serveExport(socket, open, context.host());
    else await serveImport(socket, open, frames, context.host());
  } catch (error) {
    log.info({ err: error }, "stream failed");
    if (!socket.destroyed) socket.end(encodeJsonFrame(FrameType.error, errorToPlain(error)));
    // What the peer still sends is of no interest, but its end is.
    socket.resume();
  }
}

async function firstFrame(
  socket: Socket,
  frames: AsyncGenerator<Frame, void, undefined>,
): Promise<ReturnType<typeof openSchema.parse> | undefined> {
  const timer = setTimeout(() => socket.destroy(), OPEN_TIMEOUT_MS);
  const first = await frames.next().finally(() => clearTimeout(timer));
  if (first.done) return undefined;
  if (first.value.type !== FrameType.open) {
    throw new DevdevError("ERR_PROTOCOL", "the first frame is not `open`");
  }
  const message = jsonPayload(first.value);
  refuseOtherVersion(message);
  const parsed = openSchema.safeParse(message);
  if (parsed.success) return parsed.data;
  throw invalidParams("open", parsed.error);
}

// Before anything is done: what the rest of the message means may have changed.
function refuseOtherVersion(message: unknown): void {
  const { protocol, version } = (message ?? {}) as Record<string, unknown>;
  if (protocol === PROTOCOL_VERSION || typeof protocol !== "number") return;
  const older = protocol > PROTOCOL_VERSION;
  throw new DevdevError(
    "ERR_VERSION",
    `the running daemon is ${older ? "older" : "newer"} (${VERSION}) than this client (${String(version)})`,
    {
      hint: older
        ? "stop it with `devdev daemon stop` (workspaces are checkpointed); the next command starts the new one"
        : "use the client that belongs to it, or stop it with `devdev daemon stop`",
    },
  );
}
