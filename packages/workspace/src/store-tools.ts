// Checks, repairs and measures the store of a data directory that nobody uses: with the lock of the
// directory, in this thread. Beside a daemon, it is the daemon that does the same (host.ts).

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import { DevdevError } from "@devdev/errno";
import type { StoreCheck, StoreRepair, StoreStats } from "@devdev/protocol";
import { DATABASE_FILE, openSqliteStore, rebuildDatabase } from "@devdev/store";
import type { Rebuilt, Store } from "@devdev/store";

import { asideOf } from "./salvage/aside.js";
import { checkStore } from "./salvage/report.js";
import { repairStore } from "./salvage/repair.js";
import { engineCodec } from "./store-service/codec.js";
import { statsOf } from "./store-service/stats.js";

export interface StoreToolOptions {
  onProgress?: (objects: number) => void;
}

function directoryOf(dataDir: string): string {
  const directory = join(resolve(dataDir), "store");
  if (existsSync(join(directory, DATABASE_FILE))) return directory;
  throw new DevdevError("ENOENT", `there is no store at ${join(directory, DATABASE_FILE)}`, {
    hint: "DEVDEV_HOME says where devdev's data is",
  });
}

export async function checkStoreOf(
  dataDir: string,
  options: StoreToolOptions & { deep?: boolean } = {},
): Promise<StoreCheck> {
  const directory = directoryOf(dataDir);
  return using(
    directory,
    (store) => withoutDamage(checkStore(store, engineCodec, options)),
    (why) => ({
      ok: false,
      deep: options.deep ?? false,
      problems: [why],
      damagedStates: [],
      roots: 0,
      pages: 0,
      blocks: 0,
      orphans: { objects: 0, bytes: 0 },
      durationMs: 0,
    }),
  );
}

export async function storeStatsOf(dataDir: string): Promise<StoreStats> {
  const directory = directoryOf(dataDir);
  const store = openSqliteStore(directory);
  try {
    return statsOf(store, directory);
  } finally {
    store.close();
  }
}

export async function repairStoreOf(
  dataDir: string,
  { dryRun = false, onProgress }: StoreToolOptions & { dryRun?: boolean } = {},
): Promise<StoreRepair> {
  const started = performance.now();
  const directory = directoryOf(dataDir);
  const aside = asideOf(directory);
  const progress = onProgress && { onProgress };
  const why = brokenDatabase(directory);
  let rebuilt: string | undefined;
  if (why !== undefined) {
    rebuilt = dryRun ? `it would be rebuilt: ${why}` : inWords(rebuildDatabase(directory, aside));
    if (dryRun && !canOpen(directory)) return onlyRebuilt(rebuilt, started);
  }
  const store = openSqliteStore(directory);
  try {
    const { damage } = checkStore(store, engineCodec, { deep: true, ...progress });
    const options = { dryRun, aside, open: new Set<string>() };
    const done = await repairStore(store, engineCodec, damage, options);
    const after = dryRun ? undefined : checkStore(store, engineCodec, { deep: true, ...progress });
    const left = [...done.left, ...(after?.problems ?? [])];
    const quarantine = why === undefined ? {} : { quarantine: aside };
    const durationMs = performance.now() - started;
    return {
      ...done,
      ...quarantine,
      ...(rebuilt !== undefined && { rebuilt }),
      left,
      ok: left.length === 0,
      durationMs,
    };
  } finally {
    store.close();
  }
}

/** Why the database has to be made anew; undefined when SQLite has nothing against it. */
function brokenDatabase(directory: string): string | undefined {
  let store: Store;
  try {
    store = openSqliteStore(directory);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_STORE_CORRUPT") throw error;
    return (error as Error).message;
  }
  try {
    return store.verify()[0];
  } finally {
    store.close();
  }
}

function canOpen(directory: string): boolean {
  try {
    openSqliteStore(directory).close();
    return true;
  } catch {
    return false;
  }
}

function onlyRebuilt(rebuilt: string, started: number): StoreRepair {
  const durationMs = performance.now() - started;
  const left = ["what is damaged shows when the database has been rebuilt"];
  return { dryRun: true, ok: false, mended: 0, removed: 0, rebuilt, states: [], left, durationMs };
}

function inWords({ rows, incomplete }: Rebuilt): string {
  const all = Object.values(rows).reduce((sum, count) => sum + count, 0);
  const lost = incomplete.length === 0 ? "all of it" : `not all of ${incomplete.join(", ")}`;
  return `the database was made anew with ${all} rows: ${lost} could be read`;
}

function withoutDamage(checked: ReturnType<typeof checkStore>): StoreCheck {
  const { damage: _, ...report } = checked;
  return report;
}

function using<T>(directory: string, work: (store: Store) => T, broken: (why: string) => T): T {
  let store: Store;
  try {
    store = openSqliteStore(directory);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_STORE_CORRUPT") throw error;
    return broken((error as Error).message);
  }
  try {
    return work(store);
  } finally {
    store.close();
  }
}
