// Answering what an engine needs from the store: blocks of files that are only there, and the trees
// of snapshots. Runs in the thread that reads the store, never in the main one.

import * as native from "@devdev/native";
import type { StoreObject } from "./persist.js";
import type { Tree } from "./tree.js";

export type Need = { kind: "block"; hash: Uint8Array } | { kind: "snapshot"; name: Buffer };

/**
 * Answers the needs of one engine, in the thread that called `serveNeeds`. Every need gets one
 * answer.
 */
export interface NeedsServer extends Disposable {
  /**
   * Verified against the hash in native code; a mismatch fails the need with EIO, and the answer
   * is false.
   */
  supplyBlock(block: StoreObject): boolean;
  supplySnapshot(name: Buffer, tree: Tree): void;
  /** `code`: ENOENT, else it is an I/O error. */
  fail(need: Need, code: string): void;
  close(): void;
}

function needOf({ hash, name }: native.NeedFromStore): Need {
  if (hash) return { kind: "block", hash };
  return { kind: "snapshot", name: Buffer.from(name ?? []) };
}

/**
 * Makes the calling thread (a worker) the one that answers what the engine `handle` needs from the
 * store. `serve` is called with batches; it answers through the server it is given, now or later.
 * Without an answer requests fail with EIO after 30 s; when the thread ends they fail at once. Does
 * not keep the thread alive.
 */
export function serveNeeds(
  handle: number,
  serve: (needs: Need[], server: NeedsServer) => void,
): NeedsServer {
  const close = (): void => native.needsLeave(handle, number);
  const server: NeedsServer = {
    supplyBlock: ({ id, encoding, rawLength, data }) =>
      native.needsSupplyBlock(handle, id, encoding, rawLength, data),
    supplySnapshot: (name, tree) => native.needsSupplySnapshot(handle, name, tree.handle),
    fail: (need, code) => {
      const plain = need.kind === "block" ? { hash: need.hash } : { name: need.name };
      native.needsFail(handle, plain, code);
    },
    close,
    [Symbol.dispose]: close,
  };
  const number = native.needsServe(handle, () => {
    const needs = native.needsTake(handle).map(needOf);
    if (needs.length > 0) serve(needs, server);
  });
  return server;
}
