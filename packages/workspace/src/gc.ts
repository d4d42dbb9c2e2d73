// Gives back what is not to be kept: applies the rules of all workspaces and the limit of the
// store, then collects garbage. Or says what that would come to, and changes nothing.

import type { GcResult, RemovedSnapshots, SnapshotInfo } from "@devdev/protocol";
import type { SnapshotRow, WorkspaceRow } from "@devdev/store";

import { sparing } from "./open-turns.js";
import { doomedBy } from "./retention-rule.js";
import { infoOf } from "./store-keeper.js";
import type { StoreService } from "./store-service/store-service.js";
import type { KeptOptions } from "./stored.js";

export interface GcOptions {
  dryRun?: boolean;
}

interface Doomed {
  row: WorkspaceRow;
  snapshots: SnapshotRow[];
}

export async function collectGarbage(
  store: StoreService,
  { dryRun = false }: GcOptions,
): Promise<GcResult> {
  const doomed = await doomedByRules(store);
  return dryRun ? planned(store, doomed) : done(store, doomed);
}

async function doomedByRules(store: StoreService): Promise<Doomed[]> {
  const now = Date.now();
  const all = (await store.workspaces()).map(async (row) => {
    const rule = (row.options as KeptOptions).retention ?? {};
    const doomed = doomedBy(rule, await store.snapshots(row.id), now);
    const open = doomed.length > 0 ? await store.history(row.id).openTurns() : [];
    return { row, snapshots: sparing(open, doomed) };
  });
  return Promise.all(all);
}

async function done(store: StoreService, doomed: Doomed[]): Promise<GcResult> {
  for (const { row, snapshots } of doomed) {
    await store.letGo(
      row.id,
      snapshots.map(({ sequence }) => sequence),
    );
  }
  const before = await store.collect();
  // Asks for the limit first, which nobody may have needed so far.
  await store.quota.state();
  const full = await store.quota.keep();
  const { bytes } = await store.statistics();
  const bytesFreed = before.bytesFreed + Math.max(0, before.bytesKept - bytes);
  const workspaces = removedOf(doomed, full);
  const quota = await store.quota.state();
  return { dryRun: false, workspaces, bytesFreed, bytesKept: bytes, quota };
}

async function planned(store: StoreService, doomed: Doomed[]): Promise<GcResult> {
  const byRule = doomed.flatMap(({ snapshots }) => snapshots);
  const { limit } = await store.quota.state();
  let measured = await store.checks.measure(byRule);
  let full: SnapshotRow[] = [];
  if (limit !== undefined && measured.bytesKept > limit) {
    full = await store.quota.plan(async (gone) => {
      measured = await store.checks.measure([...byRule, ...gone]);
      return measured.bytesKept <= limit;
    });
    measured = await store.checks.measure([...byRule, ...full]);
  }
  const workspaces = removedOf(doomed, full);
  return { dryRun: true, workspaces, ...measured, quota: await store.quota.state() };
}

function removedOf(doomed: Doomed[], full: SnapshotRow[]): RemovedSnapshots[] {
  const lists = doomed.map(({ row: { id, name }, snapshots }): RemovedSnapshots => {
    const own = full.filter(({ workspace }) => workspace === id);
    const bySequence = new Map([...snapshots, ...own].map((each) => [each.sequence, each]));
    const removed: SnapshotInfo[] = [...bySequence.values()].map(infoOf);
    return { id, name, removed: removed.toSorted((a, b) => a.sequence - b.sequence) };
  });
  return lists.filter(({ removed }) => removed.length > 0);
}
