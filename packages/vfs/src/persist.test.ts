// A tree through a store and back: persist jobs, loaders, and needs answered by this thread or by a
// worker that dies.

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import {
  dropSpareBuffers,
  pageReferences,
  PersistJob,
  serveNeeds,
  type StoreObject,
  type Tree,
  TreeLoader,
  verifyBlock,
  verifyPage,
  Vfs,
} from "@devdev/vfs";

const hex = (id: Uint8Array): string => Buffer.from(id).toString("hex");

/** A store in memory, filled as the real one is. */
class Shelf {
  readonly blocks = new Map<string, StoreObject>();
  readonly pages = new Map<string, StoreObject>();

  async persist(tree: Tree, batchBytes?: number): Promise<Uint8Array> {
    using job = PersistJob.start(tree, batchBytes === undefined ? {} : { batchBytes });
    const ids = await job.hash();
    const bitmap = new Uint8Array(Math.ceil(ids.length / 32 / 8));
    for (let n = 0; n < ids.length / 32; n++) {
      const known = this.blocks.has(hex(ids.subarray(n * 32, n * 32 + 32)));
      if (!known) bitmap[n >> 3]! |= 1 << (n & 7);
    }
    job.setMissing(bitmap);
    const copy = (one: StoreObject) => ({ ...one, id: one.id.slice(), data: one.data.slice() });
    for (let batch; (batch = await job.blocks()).length > 0;) {
      batch.forEach((block) => this.blocks.set(hex(block.id), copy(block)));
    }
    if (job.left().blocks > 0) throw new Error("an empty batch, and blocks are left");
    while (!job.hasAllPages) {
      (await job.pages()).forEach((page) => this.pages.set(hex(page.id), copy(page)));
    }
    const root = job.root().slice();
    job.committed();
    return root;
  }

  async load(root: Uint8Array, reference?: Tree): Promise<Tree> {
    using loader = TreeLoader.start(root, reference === undefined ? {} : { reference });
    for (let wanted; (wanted = loader.wanted()).length > 0;) {
      wanted.forEach((id) => loader.supply(this.pages.get(hex(id))!));
    }
    return loader.finish();
  }
}

function fill(vfs: Vfs, files: number): void {
  vfs.fs.mkdirSync("/many");
  for (let n = 0; n < files; n++) vfs.fs.writeFileSync(`/many/file-${n}`, `content ${n}\n`);
  vfs.fs.writeFileSync("/large", Buffer.alloc(300_000, "large "));
  vfs.fs.symlinkSync("large", "/link");
}

describe("a tree through a store", () => {
  it("comes back equal, block by block as it is read", async () => {
    using vfs = Vfs.create();
    fill(vfs, 300);
    const shelf = new Shelf();
    const tree = vfs.freeze();
    const root = await shelf.persist(tree, 200_000);
    const loaded = await shelf.load(root);
    expect(await loaded.contentId()).toBe(await tree.contentId());
    using back = Vfs.fromTree(loaded);
    let asked = 0;
    using _server = serveNeeds(back.handle, (needs, server) => {
      for (const need of needs) {
        if (need.kind === "block") server.supplyBlock(shelf.blocks.get(hex(need.hash))!);
        asked += 1;
      }
    });
    expect(await back.fs.readFile("/many/file-77", "utf8")).toBe("content 77\n");
    expect(asked).toBe(1);
    expect(await back.fs.readFile("/link")).toEqual(vfs.fs.readFileSync("/large"));
    loaded.loadThrough(back);
    expect(String(await loaded.readFile("/many/file-200"))).toBe("content 200\n");
    expect(await back.freeze().contentId()).toBe(await tree.contentId());
  });

  it("takes only what is new the second time", async () => {
    using vfs = Vfs.create();
    fill(vfs, 500);
    const shelf = new Shelf();
    const first = await shelf.persist(vfs.freeze());
    const [blocks, pages] = [shelf.blocks.size, shelf.pages.size];
    expect(await shelf.persist(vfs.freeze())).toEqual(first);
    expect([shelf.blocks.size, shelf.pages.size]).toEqual([blocks, pages]);
    vfs.fs.writeFileSync("/many/file-3", "changed\n");
    expect(await shelf.persist(vfs.freeze())).not.toEqual(first);
    expect(shelf.blocks.size).toBe(blocks + 1);
    expect(shelf.pages.size).toBeLessThan(pages + 10);
  });

  it("knows pages and blocks from damage, and what a page refers to", async () => {
    using vfs = Vfs.create();
    fill(vfs, 300);
    const shelf = new Shelf();
    const root = await shelf.persist(vfs.freeze());
    const reached = new Set<string>();
    const visit = (id: Uint8Array): void => {
      const { pages, blocks } = pageReferences(shelf.pages.get(hex(id))!);
      reached.add(hex(id));
      for (let at = 0; at < blocks.length; at += 32) reached.add(hex(blocks.subarray(at, at + 32)));
      for (let at = 0; at < pages.length; at += 32) visit(pages.subarray(at, at + 32));
    };
    visit(root);
    expect(reached.size).toBe(shelf.pages.size + shelf.blocks.size);
    expect([...shelf.pages.values()].every(verifyPage)).toBe(true);
    expect([...shelf.blocks.values()].every(verifyBlock)).toBe(true);
    const page = shelf.pages.get(hex(root))!;
    const damaged = { ...page, data: page.data.map((byte, n) => (n === 5 ? byte ^ 1 : byte)) };
    expect(verifyPage(damaged)).toBe(false);
    using loader = TreeLoader.start(root);
    expect(() => loader.supply(damaged)).toThrow(expect.objectContaining({ code: "ERR_CORRUPT" }));
  });

  it("takes little memory for a little, and as much as it needs for more", async () => {
    using vfs = Vfs.create();
    fill(vfs, 30_000);
    const shelf = new Shelf();
    const root = await shelf.persist(vfs.freeze());
    expect(shelf.pages.size).toBeGreaterThan(100);
    const loaded = await shelf.load(root);
    expect(await loaded.contentId()).toBe(await vfs.freeze().contentId());
    dropSpareBuffers();
    const allocated = (): number => process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let n = 0; n < 20; n++) {
      vfs.fs.writeFileSync("/many/file-3", `changed ${n}\n`);
      const before = allocated();
      await shelf.persist(vfs.freeze());
      most = Math.max(most, allocated() - before);
    }
    expect(most).toBeLessThan(2 ** 20);
  });

  it("refuses steps out of order", async () => {
    using vfs = Vfs.create();
    const job = PersistJob.start(vfs.freeze());
    const order = expect.objectContaining({ code: "ERR_PERSIST_OUT_OF_ORDER" });
    expect(() => job.setMissing(new Uint8Array())).toThrow(order);
    await job.hash();
    await expect(job.blocks()).rejects.toThrow(order);
    expect(() => job.root()).toThrow(order);
    expect(() => job.committed()).toThrow(order);
  });
});

describe("needs", () => {
  async function stored(): Promise<[Vfs, Shelf]> {
    using vfs = Vfs.create();
    fill(vfs, 20);
    const shelf = new Shelf();
    const loaded = await shelf.load(await shelf.persist(vfs.freeze()));
    return [Vfs.fromTree(loaded), shelf];
  }
  const eio = expect.objectContaining({ code: "EIO" });

  it("fail when nobody serves, when told so, and when the bytes are wrong", async () => {
    const [vfs, shelf] = await stored();
    expect(() => vfs.fs.readFileSync("/many/file-1")).toThrow(eio);
    const refusing = serveNeeds(vfs.handle, (needs, server) =>
      needs.forEach((need) => server.fail(need, "EIO")),
    );
    await expect(vfs.fs.readFile("/many/file-1")).rejects.toThrow(eio);
    refusing.close();
    using _wrong = serveNeeds(vfs.handle, (needs, server) =>
      needs.forEach((need) => {
        if (need.kind !== "block") return;
        const [other] = [...shelf.blocks.values()].filter(({ id }) => hex(id) !== hex(need.hash));
        server.supplyBlock({ ...other!, id: need.hash });
      }),
    );
    await expect(vfs.fs.readFile("/many/file-1")).rejects.toThrow(eio);
    vfs.close();
  });

  it("fail when the worker that serves them ends, also in the middle of a call", async () => {
    const [vfs, shelf] = await stored();
    const index = new URL("../dist/index.js", import.meta.url).href;
    const worker = new Worker(
      `import { parentPort } from "node:worker_threads";
       const { serveNeeds } = await import(${JSON.stringify(index)});
       serveNeeds(${vfs.handle}, () => parentPort.postMessage("asked"));
       setInterval(() => {}, 1000);
       parentPort.postMessage("ready");`,
      { eval: true },
    );
    await once(worker, "message");
    const reading = vfs.fs.readFile("/many/file-5").catch((error: unknown) => error);
    await once(worker, "message");
    const started = Date.now();
    await worker.terminate();
    expect(await reading).toEqual(eio);
    expect(Date.now() - started).toBeLessThan(15_000);
    using _server = serveNeeds(vfs.handle, (needs, server) =>
      needs.forEach((need) => {
        if (need.kind === "block") server.supplyBlock(shelf.blocks.get(hex(need.hash))!);
      }),
    );
    expect(await vfs.fs.readFile("/many/file-5", "utf8")).toBe("content 5\n");
    vfs.close();
  });

  it("bring snapshots into .devdev/snapshots, read-only", async () => {
    using vfs = Vfs.create();
    vfs.fs.writeFileSync("/f", "then");
    const tree = vfs.freeze();
    vfs.fs.writeFileSync("/f", "now");
    vfs.setSnapshots([
      { name: "one", timeNs: 5_000_000_000n },
      { name: "gone", timeNs: 6_000_000_000n },
    ]);
    using _server = serveNeeds(vfs.handle, (needs, server) =>
      needs.forEach((need) => {
        if (need.kind === "snapshot" && need.name.toString() === "one") {
          server.supplySnapshot(need.name, tree);
        } else server.fail(need, "ENOENT");
      }),
    );
    expect(vfs.fs.readdirSync("/.devdev/snapshots")).toEqual(["gone", "one"]);
    expect(await vfs.fs.readFile("/.devdev/snapshots/one/f", "utf8")).toBe("then");
    await expect(vfs.fs.readFile("/.devdev/snapshots/gone/f")).rejects.toMatchObject({
      code: "ENOENT",
    });
    await expect(vfs.fs.writeFile("/.devdev/snapshots/one/f", "x")).rejects.toMatchObject({
      code: "EROFS",
    });
    vfs.fs.copyFileSync("/.devdev/snapshots/one/f", "/f");
    expect(vfs.fs.readFileSync("/f", "utf8")).toBe("then");
  });
});
