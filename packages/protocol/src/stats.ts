// What a workspace's host mount has served, and the arithmetic of its histograms: apart from the
// interface, because the library computes with it and whoever watches takes differences.

/** How many requests took from `fromNs` to less than `belowNs` nanoseconds. */
export interface LatencyBucket {
  fromNs: number;
  belowNs: number;
  count: number;
}

/** What was counted of one kind of request. */
export interface RequestCounts {
  /** As FUSE calls it: "lookup", "getattr", "write" ... */
  name: string;
  count: number;
  /** Data that came with them (writes). */
  bytesIn: number;
  /** Data that was answered (reads, directory listings). */
  bytesOut: number;
  /** How many were answered with which error. */
  errors: Record<string, number>;
  /** From reading them to having answered them; without the time they were parked. */
  totalNs: number;
  maxNs: number;
  /** Those that are not empty, ascending. */
  buckets: LatencyBucket[];
}

/** The same, with what the histogram says. */
export interface RequestStats extends RequestCounts {
  medianNs: number;
  p90Ns: number;
  p99Ns: number;
}

/** What a workspace's host mount has served, and what the store had to do with it. */
export interface WorkspaceStats {
  /** The figures begin then: at the mount, or at the last reset. Milliseconds since the epoch. */
  since: number;
  /** When they were read. */
  at: number;
  /** Those that occurred; what took longest in total comes first. */
  requests: RequestStats[];
  /** Requests that had to wait for the store: those that wait now, and all. */
  parked: { now: number; total: number };
  /** What the kernel was told to forget: attributes or pages of inodes, and names. */
  notifications: { inodes: number; names: number };
  /** What came from the store because somebody used it, since the workspace was opened. */
  fetched: { blocks: number; bytes: number };
  /** Those that had something to store, since then, and how long they took altogether. */
  checkpoints: { count: number; totalMs: number };
}

/** The time that the fraction `q` of the requests did not exceed; at most an eighth off. */
export function quantile(buckets: readonly LatencyBucket[], q: number, maxNs: number): number {
  const rank = q * buckets.reduce((sum, { count }) => sum + count, 0);
  let before = 0;
  for (const { fromNs, belowNs, count } of buckets) {
    if (before + count >= rank) {
      const inside = fromNs + ((belowNs - fromNs) * (rank - before)) / count;
      return Math.min(Math.round(inside), maxNs);
    }
    before += count;
  }
  return 0;
}

/** With what the histograms say, in the order in which they are shown. */
export function requestStats(counted: readonly RequestCounts[]): RequestStats[] {
  return counted
    .map((counts) => {
      const at = (q: number): number => quantile(counts.buckets, q, counts.maxNs);
      return { ...counts, medianNs: at(0.5), p90Ns: at(0.9), p99Ns: at(0.99) };
    })
    .sort((a, b) => b.totalNs - a.totalNs);
}

/** What happened from `before` to `after`; all of `after` when its figures began in between. */
export function statsBetween(before: WorkspaceStats, after: WorkspaceStats): WorkspaceStats {
  if (before.since !== after.since) return after;
  const earlier = new Map(before.requests.map((request) => [request.name, request]));
  const requests = after.requests.map((request) => {
    const base = earlier.get(request.name);
    return base ? countsBetween(base, request) : request;
  });
  return {
    since: before.at,
    at: after.at,
    requests: requestStats(requests.filter(({ count }) => count > 0)),
    parked: { now: after.parked.now, total: after.parked.total - before.parked.total },
    notifications: minus(after.notifications, before.notifications),
    fetched: minus(after.fetched, before.fetched),
    checkpoints: minus(after.checkpoints, before.checkpoints),
  };
}

function countsBetween(before: RequestCounts, after: RequestCounts): RequestCounts {
  const counted = new Map(before.buckets.map(({ fromNs, count }) => [fromNs, count]));
  const buckets = after.buckets
    .map((bucket) => ({ ...bucket, count: bucket.count - (counted.get(bucket.fromNs) ?? 0) }))
    .filter(({ count }) => count > 0);
  const errors = Object.entries(after.errors)
    .map(([code, count]): [string, number] => [code, count - (before.errors[code] ?? 0)])
    .filter(([, count]) => count > 0);
  return {
    name: after.name,
    count: after.count - before.count,
    bytesIn: after.bytesIn - before.bytesIn,
    bytesOut: after.bytesOut - before.bytesOut,
    errors: Object.fromEntries(errors),
    totalNs: after.totalNs - before.totalNs,
    // The longest of all may have been before; the last bucket bounds those since.
    maxNs: Math.min(after.maxNs, buckets.at(-1)?.belowNs ?? 0),
    buckets,
  };
}

function minus<T extends Record<keyof T, number>>(after: T, before: T): T {
  const keys = Object.keys(after) as Array<keyof T>;
  return Object.fromEntries(keys.map((key) => [key, after[key] - before[key]])) as T;
}
