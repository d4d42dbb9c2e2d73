// What is said about the store of a data directory: whether it is whole, what a repair did, how
// large it is.

import { z } from "zod";

/** Something kept that has lost a part: a snapshot, the live state, what a fork has in common. */
export interface DamagedState {
  workspace: string;
  /** "the live state", "snapshot #3 (good)", "the base of fork ...". */
  what: string;
  /** Paths of which nothing is left (at most 1,000), and how many there are in all. */
  lost: string[];
  lostCount: number;
  /** Files of which a part is left: a repair calls them NAME.damaged, with holes for the rest. */
  damaged: string[];
  /** Where a repair puts what has lost its name. */
  found: string[];
}

export interface StoreCheck {
  ok: boolean;
  /** Blocks were read and compared with their ids, too. */
  deep: boolean;
  /** One sentence each, at most 100. */
  problems: string[];
  /** What the problems come to for users. */
  damagedStates: DamagedState[];
  roots: number;
  pages: number;
  blocks: number;
  /** What nothing refers to: `gc` gives it back. */
  orphans: { objects: number; bytes: number };
  durationMs: number;
}

export interface RepairedState extends DamagedState {
  outcome: string;
}

export interface StoreRepair {
  /** Nothing was done; the rest says what would be. */
  dryRun: boolean;
  /** Nothing is left to repair. */
  ok: boolean;
  /** Objects that were damaged and are whole again; that were taken out; where these are now. */
  mended: number;
  removed: number;
  quarantine?: string;
  /** What was done to the database itself. */
  rebuilt?: string;
  states: RepairedState[];
  /** What it could not do, one sentence each. */
  left: string[];
  durationMs: number;
}

export interface StoreStats {
  schema: number;
  files: { database: number; log: number };
  blocks: { objects: number; bytes: number; rawBytes: number };
  pages: { objects: number; bytes: number; rawBytes: number };
  /** Bytes of all trees that are kept, each counted in full. */
  logicalBytes: number;
  /** Times that the content of these trees would fill the distinct blocks without compression. */
  dedupRatio: number;
  /** Bytes of objects before compression, by those after. */
  compressionRatio: number;
  /** What nothing refers to. */
  garbageBytes: number;
  limit?: number;
  workspaces: Array<{
    id: string;
    name: string;
    snapshots: number;
    /** Bytes that only it refers to, and that others do, too. */
    uniqueBytes: number;
    sharedBytes: number;
  }>;
}

/** Parameters of the methods, by method. */
export const storeSchemas = {
  "store/check": z.object({ deep: z.boolean().optional() }),
  "store/repair": z.object({ dryRun: z.boolean().optional() }),
  "store/stats": z.object({}),
} as const;

export interface StoreResults {
  "store/check": StoreCheck;
  "store/repair": StoreRepair;
  "store/stats": StoreStats;
}
