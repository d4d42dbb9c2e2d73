// Trees through a store, many objects at a time: what the store's threads do with persist jobs and
// tree loaders.

import { createMemoryStore, type Store } from "@devdev/store";
import { PersistJob, type StoreObject, type Tree, TreeLoader, verifyBlock, Vfs } from "@devdev/vfs";
import { expect, it } from "vitest";

async function persist(store: Store, tree: Tree): Promise<Uint8Array> {
  using job = PersistJob.start(tree);
  job.setMissing(store.blocks.missing(await job.hash()));
  for (let batch; (batch = await job.blocks()).length > 0;) store.blocks.put(batch);
  for (let batch; (batch = await job.pages()).length > 0;) store.metadata.putPages(batch);
  const root = job.root().slice();
  job.committed();
  return root;
}

/** The pages as they come out of the store, after `change`. */
async function load(
  store: Store,
  root: Uint8Array,
  { reference, change = (page) => page }: Partial<Changed> = {},
): Promise<Tree> {
  using loader = TreeLoader.start(root, reference && { reference });
  for (let wanted; (wanted = loader.wanted()).length > 0;) {
    const pages = wanted.map((id) => change({ id, ...store.metadata.page(id)! }));
    await loader.supplyAll(pages);
  }
  return await loader.finish();
}

interface Changed {
  reference: Tree;
  change: (page: StoreObject) => StoreObject;
}

function fill(vfs: Vfs): void {
  vfs.fs.mkdirSync("/many");
  for (let n = 0; n < 2000; n++) vfs.fs.writeFileSync(`/many/file-${n}`, `content ${n}\n`);
}

it("a tree comes back from many pages at a time, and shares with another", async () => {
  using vfs = Vfs.create();
  fill(vfs);
  const store = createMemoryStore();
  using first = vfs.freeze();
  const root = await persist(store, first);
  using loaded = await load(store, root);
  expect(await loaded.contentId()).toBe(await first.contentId());
  for (let n = 0; n < 2000; n += 3) vfs.fs.writeFileSync(`/many/file-${n}`, "changed");
  using second = vfs.freeze();
  await persist(store, second);
  using shared = await load(store, root, { reference: second });
  expect(await shared.contentId()).toBe(await first.contentId());
  expect(await shared.countChanges(second)).toBe(667);
});

it("no tree comes from pages that are damaged, or that were not asked for", async () => {
  using vfs = Vfs.create();
  fill(vfs);
  const store = createMemoryStore();
  const root = await persist(store, vfs.freeze());
  const corrupt = expect.objectContaining({ code: "ERR_CORRUPT" });
  const change = (page: StoreObject): StoreObject => {
    if (Buffer.from(page.id).equals(root)) return page;
    return { ...page, data: page.data.map((byte, n) => (n === 5 ? byte ^ 1 : byte)) };
  };
  await expect(load(store, root, { change })).rejects.toThrow(corrupt);
  using loader = TreeLoader.start(root);
  const { objects } = store.metadata.scanPages(0, 100);
  const foreign = objects.map(({ id }) => ({ id, ...store.metadata.page(id)! }));
  await expect(loader.supplyAll(foreign)).rejects.toThrow(corrupt);
  loader.close();
  await expect(loader.supplyAll(foreign)).rejects.toThrow(
    expect.objectContaining({ code: "ERR_CLOSED" }),
  );
});

it("the next batch of blocks is packed while the one before is in use", async () => {
  using vfs = Vfs.create();
  for (let n = 0; n < 40; n++) vfs.fs.writeFileSync(`/f${n}`, noise(n));
  using job = PersistJob.start(vfs.freeze(), { batchBytes: 200_000 });
  const ids = await job.hash();
  job.setMissing(new Uint8Array(Math.ceil(ids.length / 32 / 8)).fill(255));
  const batches: number[] = [];
  for (let batch = await job.blocks(); batch.length > 0;) {
    const next = await job.blocks();
    expect(batch.every(verifyBlock)).toBe(true);
    batches.push(batch.length);
    batch = next;
  }
  expect(batches.length).toBeGreaterThan(2);
  expect(batches.reduce((sum, count) => sum + count, 0)).toBe(40);
});

/** 30,000 bytes that do not compress. */
function noise(seed: number): Buffer {
  let state = seed + 1;
  return Buffer.from(
    Array.from({ length: 30_000 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    }),
  );
}
