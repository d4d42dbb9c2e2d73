// What is too long for a message, over a stream connection: exports out, imports in.
// The last frame (exit) says that it is complete; without it, it is not.

import type { Socket } from "node:net";
import { DevdevError } from "@devdev/errno";
import {
  encodeJsonFrame,
  type Frame,
  FrameType,
  type openSchema,
  writeFrame,
} from "@devdev/protocol";
import type { Host } from "@devdev/workspace";
import { defined } from "./mounting.js";
import { openNamed } from "./select.js";

type Opened = ReturnType<typeof openSchema.parse>;
type Frames = AsyncGenerator<Frame, void, undefined>;

export async function serveExport(
  socket: Socket,
  { workspace, ref, tar }: Extract<Opened, { kind: "export" }>,
  host: Host,
): Promise<void> {
  const target = await openNamed(host, workspace);
  let skipped = 0;
  const onSkipped = (inodes: number): void => void (skipped = inodes);
  const pieces = target.exportPieces(ref, tar ? { onSkipped } : undefined);
  await send(socket, pieces, () => ({ skipped }));
}

export async function serveImport(
  socket: Socket,
  { name, numericOwner, tar }: Extract<Opened, { kind: "import" }>,
  frames: Frames,
  host: Host,
): Promise<void> {
  const gone = new AbortController();
  const options = { ...defined({ name, numericOwner, tar }), signal: gone.signal };
  // A client that has gone does not know what became of it, so it is to be nothing.
  socket.once("close", () => gone.abort());
  const imported = await host.import(inputOf(frames), options);
  if (gone.signal.aborted) return host.remove(imported.id, { force: true });
  socket.end(encodeJsonFrame(FrameType.exit, imported));
  socket.resume();
}

export async function send(
  socket: Socket,
  pieces: AsyncGenerator<Buffer>,
  result: () => unknown,
): Promise<void> {
  // Nothing more is expected from the client but its end.
  socket.resume();
  for await (const piece of pieces) {
    if (socket.destroyed) return;
    await writeFrame(socket, FrameType.stdout, piece);
  }
  socket.end(encodeJsonFrame(FrameType.exit, result()));
}

async function* inputOf(frames: Frames): AsyncGenerator<Buffer> {
  for await (const { type, payload } of frames) {
    if (type === FrameType.stdinEnd) return;
    if (type !== FrameType.stdin) throw new DevdevError("ERR_PROTOCOL", "this is no input");
    yield payload;
  }
  throw new DevdevError("ECANCELED", "the import was cancelled");
}
