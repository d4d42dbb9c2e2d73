// The worker thread of a SyncChannel: carries each call over a FileChannel and wakes the caller.

import { workerData } from "node:worker_threads";
import { errorToPlain } from "@devdev/errno";
import { encodeFileCall } from "@devdev/protocol";
import { FileChannel } from "./file-channel.js";
import type { SyncWorkerData } from "./sync-channel.js";

const { workspace, env, port, answered } = workerData as SyncWorkerData;
const channel = new FileChannel(workspace, { env });

async function answer(op: string, args: unknown[]): Promise<unknown> {
  try {
    return { ok: await channel.call(op, args.map(bytesAsBuffers)) };
  } catch (error) {
    return { error: errorToPlain(error) };
  }
}

// A Buffer arrives as a plain Uint8Array through a message port.
function bytesAsBuffers(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

async function serve(op: string, args: unknown[]): Promise<void> {
  const payload = encodeFileCall({ id: 0, value: await answer(op, args) });
  port.postMessage(new Uint8Array(payload), []);
  Atomics.add(answered, 0, 1);
  Atomics.notify(answered, 0);
}

port.on("message", ({ op, args }: { op: string; args: unknown[] }) => void serve(op, args));
