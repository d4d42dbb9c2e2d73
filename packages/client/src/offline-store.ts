// What can be done to a store while no daemon runs, by a process of its own: it takes the lock of
// the data directory, so that a daemon that starts meanwhile waits or is refused.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import type { Params, Results } from "@devdev/protocol";
import { daemonLauncher } from "./connect.js";

export type OfflineStoreTask = "store/check" | "store/repair" | "store/stats";

type Message<M extends OfflineStoreTask> =
  | { progress: number }
  | { result: Results[M] }
  | { error: PlainError };

export async function offlineStore<M extends OfflineStoreTask>(
  task: M,
  params: Params<M>,
  options: { onProgress?: (objects: number) => void; signal?: AbortSignal } = {},
): Promise<Results[M]> {
  const child = spawn(daemonLauncher(process.env), ["__store", task, JSON.stringify(params)], {
    stdio: ["ignore", "pipe", "inherit"],
    signal: options.signal,
  });
  const ended = once(child, "close");
  let last: Message<M> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    last = JSON.parse(line) as Message<M>;
    if ("progress" in last) options.onProgress?.(last.progress);
  }
  const [code] = (await ended) as [number | null];
  if (last && "result" in last) return last.result;
  if (last && "error" in last) throw errorFromPlain(last.error);
  throw new DevdevError("ERR_STORE_TOOL", `looking at the store ended with code ${code}`);
}
