// A store in memory: for ephemeral use and as the plain statement of what a store does. It runs the
// same conformance suites as the others.

import type { BlockStore, PageStore, Store } from "../store.js";
import { Journal, Objects } from "./objects.js";
import { RowMetadata } from "./rows.js";

/** Blocks over objects in memory; several of a put or a delete are one transaction. */
function blocksOf(journal: Journal): BlockStore {
  const objects = new Objects(journal);
  return {
    missing: (ids) => objects.missing(ids),
    put: (blocks) => journal.run(() => objects.put(blocks)),
    get: (id) => objects.get(id),
    range: (id, offset, length) => objects.range(id, offset, length),
    delete: (ids) => journal.run(() => objects.delete(ids)),
    scan: (from, limit) => objects.scan(from, limit),
  };
}

/** A block store as a page store: pages are kept as blocks are. */
export function pagesOf(objects: BlockStore): PageStore {
  return {
    missingPages: (ids) => objects.missing(ids),
    putPages: (pages) => objects.put(pages),
    page: (id) => objects.get(id),
    deletePages: (ids) => objects.delete(ids),
    scanPages: (from, limit) => objects.scan(from, limit),
  };
}

/** A store that ends with the process. */
export function createMemoryStore(): Store {
  const journal = new Journal();
  return {
    blocks: blocksOf(journal),
    metadata: new RowMetadata(journal, pagesOf(blocksOf(journal))),
    transaction: (run) => journal.run(run),
    verify: () => [],
    maintain: () => false,
    close: () => undefined,
  };
}
