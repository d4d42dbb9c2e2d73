// What an iteration of the crash loop can be about, what is counted, and what it says of the state
// that it leaves.

/** In what the kill falls, and its share. */
const SHARES = {
  write: 2,
  bulk: 1,
  checkpoint: 2,
  durable: 2,
  snapshot: 2,
  fault: 1,
  restore: 1,
  fork: 1,
  gc: 0.5,
  migrate: 1,
  stop: 0.5,
  mount: 0.5,
} as const;
export type Kind = keyof typeof SHARES;
export const KINDS = Object.keys(SHARES) as Kind[];
/** What this many iterations do, in an order that the seed gives. */
export const DECK = KINDS.flatMap((kind) => Array<Kind>(SHARES[kind] * 2).fill(kind));

/** Where DEVDEV_FAULT lets the daemon end itself. */
export const PHASES = ["flush", "freeze", "persist", "commit", "restore"];
/** Those that a checkpoint in the background passes. */
export const CHECKPOINT_PHASES = ["persist", "commit"];

export interface Report {
  iterations: number;
  acknowledged: number;
  restored: number;
  forked: number;
  kinds: Record<string, number>;
  /** Kills that fell into a snapshot, or into a checkpoint that nobody had asked for. */
  cutSnapshots: number;
  cutCheckpoints: number;
  /** Into a store's becoming one of this version. */
  cutMigrations: number;
  /** Calls of fsync that had returned before a kill. */
  synced: number;
  slowestMountMs: number;
  oldestLossMs: number;
}

export interface Left {
  /** Generations the live tree may be of, after the kill. */
  generations: number[];
  /** No work may be missing that was done before this time. */
  durableUntil: number;
  killedAt: number;
  /** So much of the synced file is there at least. */
  synced: number;
}

export function left(generations: number[], durableUntil = 0): Left {
  return { generations, durableUntil, killedAt: Date.now(), synced: 0 };
}
