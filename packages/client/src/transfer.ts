// What is too long for a message: differences, patches and exports as they come, imports as they
// are read.

import type { Socket } from "node:net";
import { errorFromPlain, type PlainError } from "@devdev/errno";
import {
  type DiffEntry,
  type Frame,
  framesOf,
  FrameType,
  jsonPayload,
  type MergeConflict,
  type MergePiece,
  type MergeResult,
  type Open,
  type Results,
  type ShownPiece,
  STREAM_PREAMBLE,
  writeFrame,
} from "@devdev/protocol";
import { connectDaemon, type ConnectOptions, daemonGone, openFrame } from "./connect.js";

/** Where the daemon is, and what ends it all. */
export type TransferOptions = ConnectOptions & { signal?: AbortSignal };

/** What the daemon sends, piece by piece; returns what it says in the end. */
export async function* receive(
  open: Extract<Open, { kind: "patch" | "export" }>,
  options: TransferOptions = {},
): AsyncGenerator<Buffer, unknown> {
  const socket = await opened(open, options);
  try {
    for await (const frame of answersOn(socket)) {
      if (frame.type === FrameType.exit) return jsonPayload(frame);
      yield frame.payload;
    }
    throw daemonGone(" before everything had come");
  } finally {
    socket.destroy();
  }
}

/** A difference, piece by piece; `show`: behind the event that made it. */
export async function* receiveDiff(
  open: Extract<Open, { kind: "diff" | "show" }>,
  options: TransferOptions = {},
): AsyncGenerator<ShownPiece> {
  const socket = await opened(open, options);
  try {
    for await (const frame of answersOn(socket)) {
      if (frame.type === FrameType.exit) return;
      yield frame.type === FrameType.stderr
        ? { patch: frame.payload }
        : (jsonPayload(frame) as ShownPiece);
    }
    throw daemonGone(" before everything had come");
  } finally {
    socket.destroy();
  }
}

/** Has the daemon merge; it does so also when nobody waits for the answer any more. */
export async function receiveMerge(
  open: Omit<Extract<Open, { kind: "merge" }>, "kind">,
  options: TransferOptions = {},
): Promise<MergeResult> {
  const socket = await opened({ kind: "merge", ...open }, options);
  const [entries, conflicts]: [DiffEntry[], MergeConflict[]] = [[], []];
  try {
    for await (const frame of answersOn(socket)) {
      if (frame.type === FrameType.exit) {
        const { merged, ...rest } = jsonPayload(frame) as Omit<MergeResult, keyof MergePiece>;
        return { merged, entries, conflicts, ...rest };
      }
      const piece = jsonPayload(frame) as MergePiece;
      entries.push(...(piece.entries ?? []));
      conflicts.push(...(piece.conflicts ?? []));
    }
    throw daemonGone(" before it answered");
  } finally {
    socket.destroy();
  }
}

/** Makes a workspace of pieces of an export or of a tar archive. */
export async function importPieces(
  pieces: AsyncIterable<Uint8Array>,
  open: Omit<Extract<Open, { kind: "import" }>, "kind">,
  options: TransferOptions = {},
): Promise<Results["workspace/import"]> {
  const socket = await opened({ kind: "import", ...open }, options);
  try {
    const answer = answerOf(socket);
    // It may come before everything is sent, if the rest can not change it.
    await Promise.race([answer, feed(socket, pieces)]);
    return await answer;
  } finally {
    socket.destroy();
  }
}

async function opened(open: Open, { signal, ...connect }: TransferOptions): Promise<Socket> {
  const socket = await connectDaemon(STREAM_PREAMBLE, connect);
  const stop = (): void => void socket.destroy();
  signal?.addEventListener("abort", stop);
  socket.once("close", () => signal?.removeEventListener("abort", stop));
  if (signal?.aborted) stop();
  socket.write(openFrame(open));
  return socket;
}

async function feed(socket: Socket, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) await writeFrame(socket, FrameType.stdin, piece);
  await writeFrame(socket, FrameType.stdinEnd);
}

async function answerOf(socket: Socket): Promise<Results["workspace/import"]> {
  for await (const frame of answersOn(socket)) {
    if (frame.type === FrameType.exit) return jsonPayload(frame) as Results["workspace/import"];
  }
  throw daemonGone(" before it answered");
}

/** Frames until the daemon ends; throws the error that it tells of. */
async function* answersOn(socket: Socket): AsyncGenerator<Frame> {
  for await (const frame of framesOf(socket)) {
    if (frame.type === FrameType.error) throw errorFromPlain(jsonPayload(frame) as PlainError);
    yield frame;
  }
}
