// A merge over a stream connection: it is made as a whole, then what was changed is told in pieces.

import type { Socket } from "node:net";
import {
  encodeJsonFrame,
  FrameType,
  type MergePiece,
  type openSchema,
  writeFrame,
} from "@devdev/protocol";
import type { Host } from "@devdev/workspace";
import { defined } from "./mounting.js";
import { openNamed } from "./select.js";

type Opened = ReturnType<typeof openSchema.parse>;

/** Entries, or conflicts, of a piece. */
const PIECE = 1000;

export async function serveMerge(
  socket: Socket,
  { workspace, fork, ...asked }: Extract<Opened, { kind: "merge" }>,
  host: Host,
): Promise<void> {
  // Nothing more is expected from the client but its end, which changes nothing.
  socket.resume();
  const { resolve, firstWins, dryRun, live, kill } = asked;
  const options = defined({ resolve, firstWins, dryRun, live, kill });
  const target = await openNamed(host, workspace);
  const { entries, conflicts, ...rest } = await target.merge(await openNamed(host, fork), options);
  const send = (piece: MergePiece): Promise<void> =>
    writeFrame(socket, FrameType.stdout, Buffer.from(JSON.stringify(piece)));
  for (const some of parts(entries)) await send({ entries: some });
  for (const some of parts(conflicts)) await send({ conflicts: some });
  if (!socket.destroyed) socket.end(encodeJsonFrame(FrameType.exit, rest));
}

function* parts<T>(all: readonly T[]): Generator<T[]> {
  for (let at = 0; at < all.length; at += PIECE) yield all.slice(at, at + PIECE);
}
