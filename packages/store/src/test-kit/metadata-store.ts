// What every metadata store must do, as named cases over a factory.

import assert from "node:assert/strict";

import { hexOf, isMissing } from "../store.js";
import type { MetadataStore, Store } from "../store.js";
import { baseCases } from "./bases.js";
import { listAll, makeCase } from "./block-store.js";
import type { ConformanceCase, StoreFactory } from "./block-store.js";
import { blockOf, idsOf, pageOf } from "./objects.js";
import { assertCode, plain, sampleSnapshot, sampleWorkspace } from "./samples.js";
import type { Define } from "./samples.js";

const page = pageOf([], [blockOf("content")]);
const other = pageOf([page], []);

export function metadataStoreConformance(open: StoreFactory): ConformanceCase[] {
  const define = (name: string, body: (metadata: MetadataStore, store: Store) => void) =>
    makeCase(open, name, (store) => body(store.metadata, store));
  return [
    ...objectCases(define),
    ...workspaceCases(define),
    ...snapshotCases(define),
    ...removalCases(define),
    ...baseCases(define),
  ];
}

function objectCases(define: Define): ConformanceCase[] {
  return [
    define("keeps pages as a block store keeps blocks", (metadata) => {
      assert.equal(metadata.page(page.id), undefined);
      assert.equal(metadata.putPages([page, other, page]), page.data.length + other.data.length);
      assert.deepEqual(Buffer.from(metadata.page(page.id)?.data ?? []), page.data);
      const never = pageOf([other], []);
      const bitmap = metadata.missingPages(idsOf(page, never, other));
      assert.deepEqual(
        [0, 1, 2].map((i) => isMissing(bitmap, i)),
        [false, true, false],
      );
      const listed = listAll((from, limit) => metadata.scanPages(from, limit), 1);
      assert.deepEqual(listed.toSorted(), [page, other].map(({ id }) => hexOf(id)).toSorted());
      assert.equal(metadata.deletePages([other.id, never.id]), other.data.length);
      assert.equal(metadata.page(other.id), undefined);
    }),
    define("keeps counters", (metadata) => {
      assert.equal(metadata.counter("n"), 0);
      metadata.setCounter("n", 3);
      metadata.setCounter("n", 2 ** 40);
      assert.equal(metadata.counter("n"), 2 ** 40);
    }),
  ];
}

function workspaceCases(define: Define): ConformanceCase[] {
  return [
    define("keeps workspaces in the order they were made", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w2", "beta"));
      metadata.createWorkspace({ id: "w1", name: "alpha", options: {}, createdAt: 5 });
      assert.deepEqual(
        metadata.workspaces().map((row) => row.name),
        ["beta", "alpha"],
      );
      assert.deepEqual(plain(metadata.workspace("w2")), plain(sampleWorkspace("w2", "beta")));
      assert.deepEqual(metadata.workspaceByName("alpha"), metadata.workspace("w1"));
      assert.equal(metadata.workspace("w3"), undefined);
      assert.equal(metadata.workspaceByName("gamma"), undefined);
    }),
    define("refuses a name or an id that is taken", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w1", "a"));
      metadata.createWorkspace(sampleWorkspace("w2", "b"));
      assertCode("ERR_STORE_EXISTS", () => metadata.createWorkspace(sampleWorkspace("w3", "a")));
      assertCode("ERR_STORE_EXISTS", () => metadata.createWorkspace(sampleWorkspace("w1", "c")));
      assertCode("ERR_STORE_EXISTS", () => metadata.updateWorkspace("w2", { name: "a" }));
      assert.deepEqual(
        metadata.workspaces().map((row) => row.name),
        ["a", "b"],
      );
    }),
    define("changes what is asked and nothing else", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w", "a"));
      metadata.setCheckpoint("w", { root: page.id, at: 7 });
      metadata.updateWorkspace("w", { name: "z" });
      const renamed = {
        ...sampleWorkspace("w", "a"),
        name: "z",
        checkpoint: { root: page.id, at: 7 },
      };
      assert.deepEqual(plain(metadata.workspace("w")), plain(renamed));
      metadata.updateWorkspace("w", { mounted: true });
      assert.deepEqual(plain(metadata.workspace("w")), plain({ ...renamed, mounted: true }));
      metadata.updateWorkspace("w", { name: "z" });
      assert.equal(metadata.workspace("w")?.mounted, true);
      metadata.updateWorkspace("w", { mounted: false });
      assert.deepEqual(plain(metadata.workspace("w")), plain(renamed));
      metadata.updateWorkspace("w", { mountPath: null, options: { xattrs: false } });
      assert.equal(metadata.workspace("w")?.mountPath, undefined);
      assert.deepEqual(metadata.workspace("w")?.options, { xattrs: false });
      assertCode("ERR_STORE_NOT_FOUND", () => metadata.updateWorkspace("v", { name: "q" }));
    }),
    define("replaces a checkpoint", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      assert.equal(metadata.workspace("w")?.checkpoint, undefined);
      metadata.setCheckpoint("w", { root: page.id, at: 1 });
      metadata.setCheckpoint("w", { root: other.id, at: 2 });
      assert.deepEqual(
        plain(metadata.workspace("w")?.checkpoint),
        plain({ root: other.id, at: 2 }),
      );
      assertCode("ERR_STORE_NOT_FOUND", () =>
        metadata.setCheckpoint("v", { root: page.id, at: 1 }),
      );
    }),
  ];
}

function snapshotCases(define: Define): ConformanceCase[] {
  return [
    define("numbers snapshots per workspace and never uses a number again", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      metadata.createWorkspace(sampleWorkspace("v"));
      assert.equal(metadata.addSnapshot(sampleSnapshot("w", page.id)).sequence, 1);
      assert.equal(metadata.addSnapshot(sampleSnapshot("w", page.id)).sequence, 2);
      assert.equal(metadata.addSnapshot(sampleSnapshot("v", page.id)).sequence, 1);
      assert.equal(metadata.removeSnapshot("w", 2), true);
      assert.equal(metadata.removeSnapshot("w", 2), false);
      assert.equal(metadata.addSnapshot(sampleSnapshot("w", other.id)).sequence, 3);
      assert.deepEqual(
        metadata.snapshots("w").map((row) => row.sequence),
        [1, 3],
      );
    }),
    define("gives back every field of a snapshot", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      const full = { ...sampleSnapshot("w", page.id, "n"), message: "m", automatic: true };
      assert.deepEqual(plain(metadata.addSnapshot(full)), plain({ ...full, sequence: 1 }));
      metadata.addSnapshot(sampleSnapshot("w", other.id));
      const [first, second] = metadata.snapshots("w");
      assert.deepEqual(plain(first), plain({ ...full, sequence: 1 }));
      assert.deepEqual(plain(second), plain({ ...sampleSnapshot("w", other.id), sequence: 2 }));
    }),
    define("refuses a second snapshot of a name in a workspace", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      metadata.createWorkspace(sampleWorkspace("v"));
      metadata.addSnapshot(sampleSnapshot("w", page.id, "n"));
      metadata.addSnapshot(sampleSnapshot("v", page.id, "n"));
      assertCode("ERR_STORE_EXISTS", () => metadata.addSnapshot(sampleSnapshot("w", page.id, "n")));
      assert.equal(metadata.addSnapshot(sampleSnapshot("w", page.id)).sequence, 2);
      assertCode("ERR_STORE_NOT_FOUND", () => metadata.addSnapshot(sampleSnapshot("x", page.id)));
    }),
  ];
}

function removalCases(define: Define): ConformanceCase[] {
  return [
    define("removes several snapshots, and says how many there were", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      for (let i = 0; i < 4; i++) metadata.addSnapshot(sampleSnapshot("w", page.id));
      assert.equal(metadata.removeSnapshots("w", []), 0);
      assert.equal(metadata.removeSnapshots("v", [1]), 0);
      assert.equal(metadata.removeSnapshots("w", [1, 3, 9]), 2);
      const left = metadata.snapshots("w").map((row) => row.sequence);
      assert.deepEqual(left, [2, 4]);
    }),
    define("gives a snapshot another tree, and leaves the rest of it", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      const row = metadata.addSnapshot(sampleSnapshot("w", page.id, "n"));
      const tree = { contentId: "cd".repeat(32), root: other.id, bytes: 1, inodes: 2 };
      metadata.replaceSnapshot("w", 1, tree);
      assert.deepEqual(plain(metadata.snapshots("w")), plain([{ ...row, ...tree }]));
      assert.deepEqual(metadata.roots().map(hexOf), [hexOf(other.id)]);
      assertCode("ERR_STORE_NOT_FOUND", () => metadata.replaceSnapshot("w", 2, tree));
      assertCode("ERR_STORE_NOT_FOUND", () => metadata.replaceSnapshot("v", 1, tree));
    }),
    define("gives rows that nobody else changes", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      metadata.addSnapshot(sampleSnapshot("w", page.id, "n"));
      for (const row of metadata.snapshots("w")) row.name = "changed";
      assert.equal(metadata.snapshots("w")[0]?.name, "n");
    }),
    define("removes a workspace with its snapshots", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      metadata.setCheckpoint("w", { root: page.id, at: 1 });
      metadata.addSnapshot(sampleSnapshot("w", other.id));
      assert.deepEqual(
        metadata.roots().map(hexOf).toSorted(),
        [page, other].map(({ id }) => hexOf(id)).toSorted(),
      );
      assert.equal(metadata.removeWorkspace("w"), true);
      assert.equal(metadata.removeWorkspace("w"), false);
      assert.deepEqual(metadata.snapshots("w"), []);
      assert.deepEqual(metadata.roots(), []);
    }),
  ];
}
