// The worker thread of a SyncChannel: carries each call over a FileChannel and wakes the caller.

import { workerData } from "node:worker_threads";
import { errorToPlain } from "@devdev/errno";
import { encodeFileCall } from "@devdev/protocol";
import { FileChannel } from "./file-channel.js";
import type { SyncWorkerData } from "./sync-channel.js";

interface Call {
  id: number;
  op: string;
  args: unknown[];
}

const { workspace, env, port, answered } = workerData as SyncWorkerData;
const channel = new FileChannel(workspace, { env });

async function answer({ op, args }: Call): Promise<unknown> {
  try {
    return { ok: await channel.call(op, args) };
  } catch (error) {
    return { error: errorToPlain(error) };
  }
}

async function serve(call: Call): Promise<void> {
  const payload = encodeFileCall({ id: call.id, value: await answer(call) });
  port.postMessage(new Uint8Array(payload), []);
  Atomics.add(answered, 0, 1);
  Atomics.notify(answered, 0);
}

port.on("message", (call: Call) => void serve(call));
