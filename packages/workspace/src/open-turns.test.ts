// The state before a command that is still being recorded stays: no rule, no collection and no
// limit takes it away before it is known what the command did.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openSqliteStore, type OpenTurn, type SnapshotRow } from "@devdev/store";
import { WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

import type { Keeper, SnapshotOwner } from "./keeper.js";
import { Mutex } from "./mutex.js";
import type { WorkspaceParts } from "./parts.js";
import { Retention } from "./retention.js";
import { Quota } from "./store-service/quota.js";

/** Unnamed automatic snapshots 1 to 5. */
const all = (workspace = "w"): SnapshotRow[] =>
  [1, 2, 3, 4, 5].map((sequence) => ({
    workspace,
    sequence,
    contentId: `${sequence}`.repeat(64),
    root: new Uint8Array(32),
    automatic: true,
    createdAt: sequence,
    bytes: 0,
    inodes: 2,
  }));
/** A command that began with the second one. */
const open: OpenTurn = { workspace: "w", id: 1, detail: { argv: ["x"], before: 2 } };

let dataDir = "";
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

it("S121 a rule spares it, also when it was chosen before the command began", async () => {
  const removed: number[] = [];
  const keeper = {
    owner: undefined as SnapshotOwner | undefined,
    snapshots: async () => all().map(({ contentId: id, ...rest }) => ({ id, ...rest })),
    removeSnapshots: async (sequences: readonly number[]) => void removed.push(...sequences),
    history: { openTurns: async () => [open] },
  };
  const parts = { keeper: keeper as unknown as Keeper, now: () => 10, name: "w" };
  const retention = new Retention(parts as WorkspaceParts, new Mutex(), async () => undefined);
  await retention.change({ keepLast: 1 });
  expect(removed.splice(0)).toEqual([1, 3, 4]);
  await keeper.owner?.remove([2, 3]);
  expect(removed.splice(0)).toEqual([3]);
  // Whoever names it means it.
  await retention.remove(["#2"]);
  expect(removed).toEqual([2]);
  retention.close();
});

it("S121 a full store spares it", async () => {
  const left = new Set(all());
  const quota = new Quota({
    statistics: async () => ({ bytes: left.size }),
    limit: async () => 1,
    collect: async () => undefined,
    allSnapshots: async () => [[...left]],
    openTurns: async () => [open],
    letGo: async (_, sequences) => {
      for (const row of left) if (sequences.includes(row.sequence)) left.delete(row);
    },
  });
  const { exceeded } = await quota.set(1);
  expect([...left].map(({ sequence }) => sequence)).toEqual([2, 5]);
  expect(exceeded).toContain("what is left");
});

it("S121 a collection spares it in a workspace that is not open", async () => {
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const start = () => WorkspaceHost.open({ dataDir, runDir: dataDir, log });
  const first = await start();
  const { id, ...ws } = await snapshotted(first);
  await ws.close();
  await first.close();
  // As a daemon leaves it that was killed.
  const store = openSqliteStore(join(dataDir, "store"));
  store.metadata.history.openTurn(id, { ...open.detail });
  store.metadata.updateWorkspace(id, { options: { retention: { keepLast: 0 } } });
  store.close();
  const host = await start();
  const sequencesOf = async (dryRun: boolean) => {
    const { workspaces } = await host.store.gc({ dryRun });
    return workspaces[0]?.removed.map(({ sequence }) => sequence);
  };
  expect(await sequencesOf(true)).toEqual([1]);
  expect(await sequencesOf(false)).toEqual([1]);
  await host.close();
});

/** With three snapshots. */
async function snapshotted(host: WorkspaceHost): Promise<{ id: string; close(): Promise<void> }> {
  const ws = await host.create({ name: "w" });
  for (const text of ["1", "2", "3"]) {
    await ws.fs.writeFile("/f", text);
    await ws.snapshot();
  }
  return { id: ws.id, close: () => ws.close() };
}
