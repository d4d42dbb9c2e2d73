// What a store must do as a whole: commits that are all or nothing, under faults too, and
// collection and checking over it. Named cases over a factory.

import assert from "node:assert/strict";

import { check } from "../check.js";
import { Collector } from "../collect.js";
import type { CollectionResult } from "../collect.js";
import type { Page, Store } from "../store.js";
import { makeCase } from "./block-store.js";
import type { ConformanceCase, StoreFactory } from "./block-store.js";
import { makeFaulty } from "./faults.js";
import { assertCode, sampleSnapshot, sampleWorkspace } from "./samples.js";
import { blockOf, idsOf, kitCodec, pageOf } from "./objects.js";

/**
 * Commits a tree of two pages and three blocks as the checkpoint, and as a snapshot of that name.
 */
export function commitTree(store: Store, workspace: string, text: string, name?: string): Page {
  const blocks = ["a", "b", "shared"].map((end, i) => blockOf(i === 2 ? end : `${text} ${end}`));
  const leaf = pageOf([], blocks);
  const root = pageOf([leaf], []);
  store.transaction(() => {
    store.blocks.put(blocks);
    store.metadata.putPages([leaf, root]);
    if (name !== undefined) store.metadata.addSnapshot(sampleSnapshot(workspace, root.id, name));
    store.metadata.setCheckpoint(workspace, { root: root.id, at: 1 });
  });
  return root;
}

export function collectAll(collector: Collector): CollectionResult {
  for (;;) {
    const result = collector.step();
    if (result) return result;
  }
}

export function storeConformance(open: StoreFactory): ConformanceCase[] {
  const define = (name: string, body: (store: Store) => void): ConformanceCase =>
    makeCase(open, name, body);
  return [...commitCases(define), ...collectionCases(define), ...sharingCases(define)];
}

type Define = (name: string, body: (store: Store) => void) => ConformanceCase;

function commitCases(define: Define): ConformanceCase[] {
  return [
    define("takes back a transaction that throws, blocks and rows alike", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      const root = commitTree(store, "w", "kept");
      const work = (): void =>
        store.transaction(() => {
          commitTree(store, "w", "lost", "name");
          store.metadata.createWorkspace(sampleWorkspace("v"));
          store.metadata.setCounter("n", 1);
          store.blocks.delete([blockOf("shared").id]);
          throw new Error("half-way");
        });
      assert.throws(work, /half-way/);
      assert.equal(store.blocks.get(blockOf("lost a").id), undefined);
      assert.ok(store.blocks.get(blockOf("shared").id));
      assert.deepEqual(
        store.metadata.workspaces().map((row) => row.id),
        ["w"],
      );
      assert.deepEqual(store.metadata.snapshots("w"), []);
      assert.equal(store.metadata.counter("n"), 0);
      assert.deepEqual(store.metadata.roots().map(Buffer.from), [Buffer.from(root.id)]);
    }),
    define(
      "gives back the value of a transaction, also of one that need not be durable",
      (store) => {
        assert.equal(
          store.transaction(() => 1),
          1,
        );
        assert.equal(
          store.transaction(() => store.transaction(() => 2), { durable: false }),
          2,
        );
      },
    ),
    define("loses nothing acknowledged, whichever write fails", (inner) => {
      const store = makeFaulty(inner);
      store.metadata.createWorkspace(sampleWorkspace("w"));
      const first = commitTree(store, "w", "first", "first");
      let failures = 0;
      for (let writes = 0; ; writes++) {
        store.failAfter(writes);
        try {
          commitTree(store, "w", "second", "second");
          break;
        } catch {
          failures += 1;
        }
        store.failAfter(undefined);
        assert.deepEqual(
          store.metadata.snapshots("w").map((row) => row.name),
          ["first"],
        );
        assert.deepEqual(
          Buffer.from(store.metadata.workspace("w")?.checkpoint?.root ?? []),
          Buffer.from(first.id),
        );
        assert.deepEqual(check(store, kitCodec).problems, []);
      }
      assert.equal(failures, 5, "every write and the commit failed once");
      assert.equal(store.metadata.snapshots("w").length, 2);
      assert.deepEqual(check(store, kitCodec).problems, []);
    }),
  ];
}

function collectionCases(define: Define): ConformanceCase[] {
  return [
    define("finds missing and damaged objects", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      commitTree(store, "w", "tree");
      assert.deepEqual(check(store, kitCodec), {
        ok: true,
        problems: [],
        roots: 1,
        pages: 2,
        blocks: 3,
        orphans: { objects: 0, bytes: 0 },
        damage: { pages: [], blocks: [] },
      });
      const damaged = blockOf("tree a");
      store.blocks.delete([damaged.id, blockOf("tree b").id]);
      store.blocks.put([{ ...damaged, data: Buffer.from("tree A") }]);
      const report = check(store, kitCodec);
      assert.equal(report.ok, false);
      assert.equal(report.problems.length, 2);
      assert.equal(report.damage.blocks.length, 2);
      assert.equal(check(store, kitCodec, { deep: false }).problems.length, 1);
      assert.ok(report.problems.some((text) => text.endsWith("is missing")));
      assert.ok(report.problems.some((text) => text.endsWith("other bytes than its id says")));
    }),
    define("collects what no root reaches, and nothing else", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      commitTree(store, "w", "old");
      commitTree(store, "w", "saved", "name");
      commitTree(store, "w", "live");
      const result = collectAll(new Collector(store, kitCodec));
      assert.ok(result.bytesFreed > 0);
      assert.equal(result.pagesKept, 4);
      assert.equal(result.blocksKept, 5);
      assert.equal(store.blocks.get(blockOf("old a").id), undefined);
      assert.deepEqual(check(store, kitCodec).problems, []);
      assert.equal(collectAll(new Collector(store, kitCodec)).bytesFreed, 0);
    }),
    define("spares what a commit relied on while collecting", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      const relied = commitTree(store, "w", "old");
      for (let i = 0; i < 600; i++) commitTree(store, "w", `later ${i}`);
      const blocks = ["old a", "old b", "shared"].map((text) => blockOf(text));
      const leaf = pageOf([], blocks);
      const collector = new Collector(store, kitCodec);
      let steps = 0;
      while (!collector.step()) {
        if (++steps !== 3) continue;
        collector.protect(idsOf(...blocks, leaf, relied));
        commitTree(store, "w", "old", "again");
      }
      assert.ok(steps > 6, "the collection ran in slices");
      assert.deepEqual(check(store, kitCodec).problems, []);
    }),
    define("deletes nothing when a page that it needs is missing", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      commitTree(store, "w", "garbage");
      const root = commitTree(store, "w", "live");
      store.metadata.deletePages([root.id]);
      assertCode("ERR_STORE_CORRUPT", () => collectAll(new Collector(store, kitCodec)));
      assert.ok(store.blocks.get(blockOf("garbage a").id));
    }),
  ];
}

function sharingCases(define: Define): ConformanceCase[] {
  return [
    define("counts what nothing reaches, without calling it damage", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      commitTree(store, "w", "old");
      commitTree(store, "w", "live");
      const { ok, orphans } = check(store, kitCodec);
      assert.equal(ok, true);
      assert.equal(orphans.objects, 4);
      assert.ok(orphans.bytes > 0);
      collectAll(new Collector(store, kitCodec));
      assert.equal(check(store, kitCodec).orphans.objects, 0);
    }),
    define("keeps what removed snapshots share with others", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      store.metadata.createWorkspace(sampleWorkspace("v"));
      const shared = commitTree(store, "w", "same", "first");
      commitTree(store, "v", "same", "second");
      commitTree(store, "w", "later", "third");
      store.metadata.removeSnapshots("w", [1]);
      collectAll(new Collector(store, kitCodec));
      assert.ok(store.metadata.page(shared.id), "another workspace has it");
      store.metadata.removeWorkspace("v");
      assert.ok(collectAll(new Collector(store, kitCodec)).bytesFreed > 0);
      assert.equal(store.metadata.page(shared.id), undefined);
      assert.ok(store.blocks.get(blockOf("shared").id));
      assert.deepEqual(check(store, kitCodec).problems, []);
    }),
    define("keeps what a base of another workspace needs", (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      store.metadata.createWorkspace(sampleWorkspace("f"));
      const { id: root } = commitTree(store, "w", "common", "name");
      const base = { workspace: "f", other: "w", name: "w", kind: "fork", root, at: 1 } as const;
      store.metadata.setBase(base);
      store.metadata.removeWorkspace("w");
      assert.equal(collectAll(new Collector(store, kitCodec)).bytesFreed, 0);
      store.metadata.removeWorkspace("f");
      assert.equal(collectAll(new Collector(store, kitCodec)).pagesKept, 0);
    }),
  ];
}
