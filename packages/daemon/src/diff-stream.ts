// Differences and patches over a stream connection: piece by piece, however much there is.

import type { Socket } from "node:net";
import {
  encodeJsonFrame,
  FrameType,
  type openSchema,
  type ShownPiece,
  writeFrame,
} from "@devdev/protocol";
import type { Host, Workspace } from "@devdev/workspace";
import { defined } from "./mounting.js";
import { refuseHostInMount } from "./refuse-in-mount.js";
import { openNamed } from "./select.js";
import { send } from "./transfer-stream.js";

type Opened = ReturnType<typeof openSchema.parse>;
type Asked = Extract<Opened, { kind: "patch" | "diff" }>;

export async function servePatch(
  socket: Socket,
  asked: Extract<Opened, { kind: "patch" }>,
  host: Host,
): Promise<void> {
  const target = await compared(host, asked);
  const { a, b, event, binary } = asked;
  const pieces =
    event === undefined
      ? target.patch(a, b, await optionsOf(host, asked))
      : target.patchOf(event === "last" ? undefined : event, defined({ binary }));
  await send(socket, pieces, () => null);
}

export async function serveDiff(
  socket: Socket,
  asked: Extract<Opened, { kind: "diff" }>,
  host: Host,
): Promise<void> {
  const target = await compared(host, asked);
  const { a, b, stat, patch } = asked;
  const options = { ...(await optionsOf(host, asked)), ...defined({ stat, patch }) };
  await sendPieces(socket, target.diffPieces(a, b, options));
}

export async function serveShow(
  socket: Socket,
  { workspace, turn, stat, patch, binary }: Extract<Opened, { kind: "show" }>,
  host: Host,
): Promise<void> {
  const target = await openNamed(host, workspace);
  await sendPieces(socket, target.showPieces(turn, defined({ stat, patch, binary })));
}

async function sendPieces(socket: Socket, pieces: AsyncGenerator<ShownPiece>): Promise<void> {
  // Nothing more is expected from the client but its end.
  socket.resume();
  for await (const { patch: bytes, ...piece } of pieces) {
    if (socket.destroyed) return;
    if (bytes) await writeFrame(socket, FrameType.stderr, bytes);
    else await writeFrame(socket, FrameType.stdout, Buffer.from(JSON.stringify(piece)));
  }
  socket.end(encodeJsonFrame(FrameType.exit, null));
}

async function compared(host: Host, asked: Asked): Promise<Workspace> {
  await refuseHostInMount(host, asked.host);
  return openNamed(host, asked.workspace);
}

async function optionsOf(host: Host, { host: directory, against, reverse, binary }: Asked) {
  const other = against && {
    workspace: await openNamed(host, against.workspace),
    ...defined({ snapshot: against.snapshot }),
  };
  return defined({ host: directory, against: other, reverse, binary });
}
