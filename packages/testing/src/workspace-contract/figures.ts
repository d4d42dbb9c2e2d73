// The contract of stats.

import assert from "node:assert/strict";
import type { RequestStats, Workspace, WorkspaceStats } from "@devdev/protocol";
import { type ContractCase, onWorkspace, rejection } from "./contract.js";

const PIPES = { pty: false } as const;
const FILES = 20;

async function sh(workspace: Workspace, script: string): Promise<void> {
  const { exitCode, output } = await workspace.exec("sh", ["-c", script], PIPES);
  assert.equal(exitCode, 0, output);
}

/** Figures that have come to be so: a request is counted after it was answered. */
async function counted(
  workspace: Workspace,
  enough: (stats: WorkspaceStats) => boolean,
): Promise<WorkspaceStats> {
  const end = performance.now() + 30_000;
  for (;;) {
    const stats = await workspace.stats();
    if (enough(stats) || performance.now() > end) return stats;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function requests(stats: WorkspaceStats, of: string): RequestStats | undefined {
  return stats.requests.find(({ name }) => name === of);
}

function named(stats: WorkspaceStats, ...names: string[]): RequestStats {
  const found = stats.requests.find(({ name }) => names.includes(name));
  assert.ok(found, `${names.join(" or ")} is not among ${JSON.stringify(stats.requests)}`);
  return found;
}

export const figureCases: readonly ContractCase[] = [
  onWorkspace("without a mount there is nothing that was served", async (workspace) => {
    const error = await rejection(workspace.stats());
    assert.equal(error["code"], "ERR_NOT_MOUNTED");
    assert.match(error.message, /is not mounted: it cannot show what it serves$/);
  }),

  {
    ...onWorkspace(
      "stats count what was asked of the mount",
      async (workspace) => {
        await workspace.mount();
        const each = `i=0; while [ $i -lt ${FILES} ]; do echo hello > d/f$i; i=$((i+1)); done`;
        await sh(workspace, `mkdir d; ${each}; ! head -c 2000000 /dev/zero > big`);
        const refused = (now: WorkspaceStats) =>
          (requests(now, "write")?.errors["ENOSPC"] ?? 0) > 0;
        const stats = await counted(workspace, refused);
        assert.ok(named(stats, "mkdir").count >= 1);
        assert.ok(named(stats, "create", "mknod").count >= FILES);
        const write = named(stats, "write");
        assert.ok(write.count > FILES && write.bytesIn >= 6 * FILES && write.bytesOut === 0);
        assert.ok((write.errors["ENOSPC"] ?? 0) >= 1, JSON.stringify(write.errors));
        for (const request of stats.requests) {
          const { count, buckets, totalNs, medianNs, p90Ns, p99Ns, maxNs } = request;
          assert.equal(
            buckets.reduce((sum, bucket) => sum + bucket.count, 0),
            count,
          );
          const times = [0, medianNs, p90Ns, p99Ns, maxNs, totalNs];
          assert.deepEqual(
            times,
            times.toSorted((a, b) => a - b),
            request.name,
          );
        }
        const totals = stats.requests.map(({ totalNs }) => totalNs);
        assert.deepEqual(
          totals,
          totals.toSorted((a, b) => b - a),
        );
        assert.deepEqual([stats.parked.now, stats.fetched.blocks], [0, 0]);
      },
      { maxBytes: 2 ** 20 },
    ),
    mounts: true,
  },

  {
    ...onWorkspace("stats begin anew at a reset, and count notifications", async (workspace) => {
      await workspace.mount();
      await sh(workspace, "mkdir d; echo one > d/f; echo two > g");
      await counted(workspace, (now) => (requests(now, "write")?.count ?? 0) >= 2);
      const first = await workspace.stats({ reset: true });
      assert.ok(named(first, "write").count >= 2);
      const none = await workspace.stats();
      assert.ok(none.since > first.since && none.at >= none.since);
      assert.equal(none.requests.filter(({ name }) => name === "write").length, 0);
      await workspace.fs.writeFile("/g", "three");
      await workspace.fs.unlink("/d/f");
      const { notifications } = await workspace.stats();
      assert.ok(notifications.inodes >= 1 && notifications.names >= 1);
    }),
    mounts: true,
  },
];
