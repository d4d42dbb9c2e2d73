// The integrity check: the storage itself, and every page and block that a checkpoint or snapshot
// reaches.
// In slices, as collection is, so that a running store can be checked.

import { IdSet } from "./id-set.js";
import { hexOf, ID_BYTES, idAt } from "./store.js";
import type { ObjectCodec, Store } from "./store.js";

/** No more are listed: a lost disk page can damage thousands of objects. */
const MOST_PROBLEMS = 100;

export interface CheckReport {
  ok: boolean;
  /** One sentence each, at most 100. */
  problems: string[];
  roots: number;
  pages: number;
  blocks: number;
}

/** Yields after each object; returns the report. */
export function* checkSteps(
  store: Store,
  codec: ObjectCodec,
): Generator<undefined, CheckReport, undefined> {
  const problems = store.verify();
  const roots = store.metadata.roots();
  const [pages, blocks] = [new IdSet(), new IdSet()];
  const waiting = [...roots];
  for (let id = waiting.pop(); id; id = waiting.pop()) {
    if (!pages.add(id)) continue;
    const references = checkPage(store, codec, id, problems);
    for (let i = 0; i * ID_BYTES < references.pages.length; i++) {
      waiting.push(idAt(references.pages, i));
    }
    yield;
    for (let i = 0; i * ID_BYTES < references.blocks.length; i++) {
      const block = idAt(references.blocks, i);
      if (!blocks.add(block)) continue;
      checkBlock(store, codec, block, problems);
      yield;
    }
  }
  return {
    ok: problems.length === 0,
    problems: problems.slice(0, MOST_PROBLEMS),
    roots: roots.length,
    pages: pages.size,
    blocks: blocks.size,
  };
}

const NOTHING = { pages: new Uint8Array(0), blocks: new Uint8Array(0) };

function checkPage(
  store: Store,
  codec: ObjectCodec,
  id: Uint8Array,
  problems: string[],
): { pages: Uint8Array; blocks: Uint8Array } {
  try {
    const page = store.metadata.page(id);
    if (!page) problems.push(`page ${hexOf(id)} is missing`);
    else if (codec.verifyPage(id, page)) return codec.references(page);
    else problems.push(`page ${hexOf(id)} has other bytes than its id says`);
  } catch (error) {
    problems.push(`page ${hexOf(id)}: ${(error as Error).message}`);
  }
  return NOTHING;
}

function checkBlock(store: Store, codec: ObjectCodec, id: Uint8Array, problems: string[]): void {
  try {
    const block = store.blocks.get(id);
    if (!block) problems.push(`block ${hexOf(id)} is missing`);
    else if (!codec.verifyBlock(id, block)) {
      problems.push(`block ${hexOf(id)} has other bytes than its id says`);
    }
  } catch (error) {
    problems.push(`block ${hexOf(id)}: ${(error as Error).message}`);
  }
}

/** The whole check at once. */
export function check(store: Store, codec: ObjectCodec): CheckReport {
  const steps = checkSteps(store, codec);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
