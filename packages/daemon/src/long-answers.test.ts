// What events changed and what merges did, when it is too long for one message: it comes in pieces,
// and nothing is missing.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { framesOf, FrameType, gatherShown, jsonPayload, type ShownPiece } from "@devdev/protocol";
import { WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { serveShow } from "./diff-stream.js";
import { serveMerge } from "./merge-stream.js";

const FILES = 4000;
const LONGEST_PIECE = 8 << 20;
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

let directory = "";
let host: WorkspaceHost;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "devdev-test-"));
  host = await WorkspaceHost.open({ dataDir: directory, runDir: directory, log: quiet });
});
afterEach(async () => {
  await host.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What a server sends, in frames; the last one is the exit's. */
async function sent(serve: (socket: Socket) => Promise<void>): Promise<unknown[]> {
  const path = join(directory, "socket");
  const server = createServer((socket) => void serve(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const socket = connect(path);
  const all: unknown[] = [];
  for await (const frame of framesOf(socket)) {
    expect(frame.payload.length).toBeLessThan(LONGEST_PIECE);
    all.push(jsonPayload(frame));
    if (frame.type === FrameType.exit) break;
    expect(frame.type).toBe(FrameType.stdout);
  }
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return all;
}

const opener = { version: "", protocol: 0 };
// Paths of nearly 4000 bytes, so that a few thousand are more than a message should have.
const deep = `/${Array.from({ length: 15 }, () => "d".repeat(240)).join("/")}`;

test("what an event changed", { timeout: 240_000 }, async () => {
  const ws = await host.create({ name: "w" });
  await ws.fs.mkdir(deep, { recursive: true });
  await ws.snapshot();
  for (let n = 0; n < FILES; n++) ws.fs.writeFileSync(`${deep}/${n}`, "");
  await ws.snapshot();
  const open = { ...opener, kind: "show", workspace: "w", turn: 2 } as const;
  const pieces = await sent((socket) => serveShow(socket, open, host));
  expect(pieces.pop()).toBeNull();
  expect(pieces[0]).toMatchObject({ event: { number: 2, kind: "snapshot" } });
  expect(JSON.stringify(pieces).length).toBeGreaterThan(LONGEST_PIECE);
  const whole = await gatherShown(given(pieces as ShownPiece[]), {});
  expect(whole).toEqual(await ws.show(2));
  expect(whole.entries.filter(({ kind }) => kind === "added")).toHaveLength(FILES);
});

test("what a merge changed", { timeout: 240_000 }, async () => {
  const ws = await host.create({ name: "w" });
  await ws.fs.mkdir(deep, { recursive: true });
  const fork = await host.fork(ws.id, { name: "f" });
  for (let n = 0; n < FILES; n++) fork.fs.writeFileSync(`${deep}/${n}`, "");
  fork.fs.writeFileSync("/both", "theirs");
  ws.fs.writeFileSync("/both", "ours");
  const open = { ...opener, kind: "merge", workspace: "w", fork: "f" } as const;
  const refused = await sent((socket) => serveMerge(socket, open, host));
  expect(refused.at(-1)).toMatchObject({ merged: false });
  expect(refused.at(-2)).toMatchObject({ conflicts: [{ path: "/both" }] });
  const chosen = { ...open, resolve: "theirs" } as const;
  const pieces = await sent((socket) => serveMerge(socket, chosen, host));
  expect(pieces.pop()).toMatchObject({ merged: true, before: { automatic: true } });
  expect(JSON.stringify(pieces).length).toBeGreaterThan(LONGEST_PIECE);
  const entries = (pieces as Array<{ entries?: unknown[] }>).flatMap(
    (piece) => piece.entries ?? [],
  );
  const added = entries.filter((each) => (each as { kind: string }).kind === "added");
  expect(added).toHaveLength(FILES);
  expect(pieces.at(-1)).toMatchObject({ conflicts: [{ path: "/both" }] });
});

async function* given(pieces: ShownPiece[]): AsyncGenerator<ShownPiece> {
  yield* pieces;
}
