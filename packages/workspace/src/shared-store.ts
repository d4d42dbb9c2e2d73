// Stores that several workspaces of this process use: opened by the first, closed by the last.

import { join, resolve } from "node:path";

import { StoreService } from "./store-service/store-service.js";

interface Shared {
  store: Promise<StoreService>;
  users: number;
}

const shared = new Map<string, Shared>();
/** Those that are being closed: who opens one again waits for it. */
const closing = new Map<string, Promise<void>>();

/**
 * The store of a data directory, and what gives it back. ERR_LOCKED when another process has it.
 */
export async function useStore(dataDir: string): Promise<[StoreService, () => Promise<void>]> {
  const directory = join(resolve(dataDir), "store");
  await closing.get(directory);
  const entry = shared.get(directory) ?? { store: StoreService.open(directory), users: 0 };
  shared.set(directory, entry);
  entry.users += 1;
  try {
    const store = await entry.store;
    return [store, () => giveBack(directory, entry, store)];
  } catch (error) {
    if (shared.get(directory) === entry) shared.delete(directory);
    throw error;
  }
}

async function giveBack(directory: string, entry: Shared, store: StoreService): Promise<void> {
  entry.users -= 1;
  if (entry.users > 0) return;
  shared.delete(directory);
  const closed = store.close().finally(() => closing.delete(directory));
  // Who waits to open it again does so also when the close failed.
  closing.set(
    directory,
    closed.catch(() => undefined),
  );
  await closed;
}
