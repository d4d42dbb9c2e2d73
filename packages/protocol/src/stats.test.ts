// Reading histograms, and what happened between two readings.

import { expect, test } from "vitest";
import { quantile, type RequestCounts, requestStats, statsBetween } from "./stats.ts";

const bucket = (fromNs: number, belowNs: number, count: number) => ({ fromNs, belowNs, count });

function counts(name: string, over: Partial<RequestCounts>): RequestCounts {
  const none = { count: 0, bytesIn: 0, bytesOut: 0, errors: {}, totalNs: 0, maxNs: 0, buckets: [] };
  return { name, ...none, ...over };
}

function stats(at: number, requests: RequestCounts[], n: number, since = 1) {
  return {
    since,
    at,
    requests: requestStats(requests),
    parked: { now: n, total: 2 * n },
    notifications: { inodes: n, names: n },
    fetched: { blocks: n, bytes: 10 * n },
    checkpoints: { count: n, totalMs: n },
  };
}

test("a quantile lies inside of its bucket, and never beyond the longest", () => {
  const buckets = [bucket(100, 200, 50), bucket(1000, 2000, 40), bucket(8000, 10_000, 10)];
  expect(quantile(buckets, 0.25, 9000)).toBe(150);
  expect(quantile(buckets, 0.5, 9000)).toBe(200);
  expect(quantile(buckets, 0.7, 9000)).toBe(1500);
  expect(quantile(buckets, 0.9, 9000)).toBe(2000);
  expect(quantile(buckets, 0.99, 9000)).toBe(9000);
  expect(quantile(buckets, 0.99, 10_000)).toBe(9800);
  expect(quantile([], 0.5, 0)).toBe(0);
});

test("what took longest in total comes first", () => {
  const one = counts("getattr", { count: 1, totalNs: 5, maxNs: 5, buckets: [bucket(5, 6, 1)] });
  const [first, second] = requestStats([one, { ...one, name: "write", totalNs: 9 }]);
  expect(first?.name).toBe("write");
  expect(second).toMatchObject({ name: "getattr", medianNs: 5, p90Ns: 5, p99Ns: 5 });
});

test("between two readings only what happened since counts", () => {
  const write = counts("write", {
    count: 3,
    bytesIn: 300,
    errors: { ENOSPC: 1 },
    totalNs: 10_200,
    maxNs: 10_000,
    buckets: [bucket(100, 128, 2), bucket(8192, 10_240, 1)],
  });
  const later = counts("write", {
    ...write,
    count: 5,
    bytesIn: 350,
    errors: { ENOSPC: 1, EFBIG: 2 },
    totalNs: 10_400,
    buckets: [bucket(100, 128, 4), bucket(8192, 10_240, 1)],
  });
  const read = counts("read", { count: 1, totalNs: 7, maxNs: 7, buckets: [bucket(7, 8, 1)] });
  const idle = counts("lookup", { count: 1, totalNs: 1, maxNs: 1, buckets: [bucket(1, 2, 1)] });
  const between = statsBetween(stats(5, [write, idle], 1), stats(9, [later, read, idle], 4));
  expect(between).toMatchObject({
    since: 5,
    at: 9,
    parked: { now: 4, total: 6 },
    notifications: { inodes: 3, names: 3 },
    fetched: { blocks: 3, bytes: 30 },
    checkpoints: { count: 3, totalMs: 3 },
  });
  expect(between.requests.map(({ name }) => name)).toEqual(["write", "read"]);
  expect(between.requests[0]).toEqual({
    name: "write",
    count: 2,
    bytesIn: 50,
    bytesOut: 0,
    errors: { EFBIG: 2 },
    totalNs: 200,
    maxNs: 128,
    buckets: [bucket(100, 128, 2)],
    medianNs: 114,
    p90Ns: 125,
    p99Ns: 128,
  });
});

test("figures that began in between are all of them", () => {
  const after = stats(9, [], 4, 6);
  expect(statsBetween(stats(5, [], 9), after)).toBe(after);
});
