// What is said about how long snapshots are kept, and about the store that all workspaces of a data
// directory share.

import { z } from "zod";
import type { SnapshotInfo } from "./workspace.js";

/**
 * Which snapshots of a workspace stay. One stays when any part of the rule says so; without a part,
 * all do. Those with a name and the newest one always stay.
 */
export interface RetentionRule {
  /** The newest so many of those that devdev took itself, and as many of the others. */
  keepLast?: number;
  /** Those taken within so many milliseconds. */
  keepYoungerMs?: number;
}

/** null takes a part of the rule back. */
export type RetentionChange = { [K in keyof RetentionRule]?: RetentionRule[K] | null };

/** Snapshots of one workspace that go, or have gone. */
export interface RemovedSnapshots {
  id: string;
  name: string;
  removed: SnapshotInfo[];
}

export interface GcResult {
  /** Nothing was done; the rest says what would be. */
  dryRun: boolean;
  /** Workspaces whose rule, or the limit of the store, removes snapshots. */
  workspaces: RemovedSnapshots[];
  /** Bytes of objects that nothing refers to (any more), and of those that stay. */
  bytesFreed: number;
  bytesKept: number;
  /** What the limit of the store comes to. */
  quota: StoreQuota;
}

/** How full a store is. */
export interface StoreQuota {
  /** Bytes of its objects, as they are kept. */
  bytes: number;
  /** The most it should have (`--store-limit`). */
  limit?: number;
  /** Why the limit is not kept, one sentence; absent when it is. */
  exceeded?: string;
}

export const retentionSchema = z.object({
  keepLast: z.number().optional(),
  keepYoungerMs: z.number().optional(),
});

const workspace = z.string().min(1);

/** Parameters of the methods around it, by method. */
export const retentionSchemas = {
  "snapshot/remove": z.object({ workspace, refs: z.array(z.union([z.string(), z.number()])) }),
  /** Changes what is given; without anything it only tells the rule. */
  "workspace/retention": z.object({
    workspace,
    keepLast: z.number().nullable().optional(),
    keepYoungerMs: z.number().nullable().optional(),
  }),
  /** Applies the rules and the limit, then gives back what nothing refers to. */
  "store/gc": z.object({ dryRun: z.boolean().optional() }),
  /** Bytes, or null for none; without it the method only tells. */
  "store/limit": z.object({ limit: z.number().nullable().optional() }),
} as const;

export interface RetentionResults {
  "snapshot/remove": { removed: SnapshotInfo[] };
  "workspace/retention": RetentionRule;
  "store/gc": GcResult;
  "store/limit": StoreQuota;
}
