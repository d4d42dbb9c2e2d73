// devdev stats: what the kernel asked of a mount, for people and for programs, once and while it
// happens.

import { join } from "node:path";
import type { WorkspaceStats } from "@devdev/protocol";
import { expect, test } from "vitest";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

const count = (stats: WorkspaceStats, name: string): number =>
  stats.requests.find((request) => request.name === name)?.count ?? 0;

forEachIdentity("devdev stats", (who) => {
  const devdev = useDevdev(who, "stats");
  const stats = (...args: string[]) =>
    devdev().json<WorkspaceStats>(["stats", "-w", "ws", ...args]);

  test("known operations are at least so many requests", async () => {
    await stats("--reset");
    await devdev().sh(
      "mkdir a b c; for i in $(seq 50); do echo $i > a/$i; done; mv a/1 b/1; rm a/2",
    );
    await expect.poll(async () => count(await stats(), "unlink")).toBe(1);
    const after = await stats();
    expect(count(after, "mkdir")).toBe(3);
    expect(count(after, "write")).toBeGreaterThanOrEqual(50);
    expect(count(after, "rename2") + count(after, "rename")).toBe(1);
    expect(count(after, "unlink")).toBe(1);
    expect(count(after, "create") + count(after, "mknod")).toBeGreaterThanOrEqual(50);
    const { stdout } = await devdev().ok(["stats", "-w", "ws"]);
    expect(stdout).toMatch(
      /^ws: \d+ requests in [^]*\nREQUEST +COUNT +TOTAL +MEDIAN +P90 +P99 +MAX/,
    );
    expect(stdout).toMatch(/\nmkdir +3 +[\d.]+ (µs|ms) /);
  });

  test("--watch tells what happened in each interval, until Ctrl-C", async () => {
    const bin = join(devdev().identity.checkout, "bin/devdev");
    const watch = ["timeout", "--preserve-status", "-s", "INT", "6", bin, "stats", "-w", "ws"];
    const [watched, shown] = await Promise.all([
      devdev().host([...watch, "--watch", "0.3", "--json"]),
      devdev().host([...watch, "--watch", "0.3"]),
      devdev().sh("for i in $(seq 80); do echo $i > w$i; sleep 0.1; done"),
    ]);
    expect([watched.code, watched.stderr, shown.code]).toEqual([130, "", 130]);
    const lines = watched.stdout.trimEnd().split("\n");
    const intervals = lines.map((line) => JSON.parse(line) as WorkspaceStats);
    expect(intervals.length).toBeGreaterThan(1);
    const total = count(await stats(), "write");
    const seen = intervals.reduce((sum, interval) => sum + count(interval, "write"), 0);
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThanOrEqual(total);
    intervals.slice(1).forEach((interval, n) => expect(interval.since).toBe(intervals[n]?.at));
    expect(shown.stdout.match(/^ws: /gm)?.length).toBeGreaterThan(1);
  });

  test("what comes from the store is counted, and who waits for it", async () => {
    await devdev().sh("seq 100000 > numbers");
    await devdev().ok(["snapshot", "-w", "ws"]);
    await devdev().ok(["daemon", "stop"]);
    await devdev().mount();
    await devdev().sh("cksum numbers > sum");
    const { fetched, parked, checkpoints } = await stats();
    expect(fetched.blocks).toBeGreaterThanOrEqual(1);
    expect(fetched.bytes).toBeGreaterThanOrEqual(500_000);
    expect(parked).toEqual({ now: 0, total: expect.any(Number) });
    expect(parked.total).toBeGreaterThanOrEqual(1);
    const before = checkpoints.count;
    await expect
      .poll(async () => (await stats()).checkpoints.count, { timeout: 60_000 })
      .toBeGreaterThanOrEqual(Math.max(before, 1));
  });

  test("without a mount it says so", async () => {
    await devdev().ok(["unmount", "ws"]);
    const { code, stderr, stdout } = await devdev().cli(["stats", "-w", "ws"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^devdev: workspace ws is not mounted: it cannot show what it serves\n/);
    await devdev().mount();
  });
});
