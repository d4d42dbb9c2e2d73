// The integrity check: the storage itself, and every page and block that a checkpoint or snapshot
// reaches.
// Of a store that is written meanwhile, it is for who reads at one moment: a thread of its own.

import { IdSet } from "./id-set.js";
import { hexOf, ID_BYTES, idAt } from "./store.js";
import type { BlockStore, MetadataStore, ObjectCodec } from "./store.js";

/** No more are listed: a lost disk page can damage thousands of objects. */
const MOST_PROBLEMS = 100;

/** What a check reads of a store. */
export interface CheckedStore {
  readonly blocks: Pick<BlockStore, "get">;
  readonly metadata: Pick<MetadataStore, "page" | "roots">;
  verify(): string[];
}

export interface CheckReport {
  ok: boolean;
  /** One sentence each, at most 100. */
  problems: string[];
  roots: number;
  pages: number;
  blocks: number;
}

export function check(store: CheckedStore, codec: ObjectCodec): CheckReport {
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
    for (let i = 0; i * ID_BYTES < references.blocks.length; i++) {
      const block = idAt(references.blocks, i);
      if (!blocks.add(block)) continue;
      checkBlock(store, codec, block, problems);
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
  store: CheckedStore,
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

function checkBlock(
  store: CheckedStore,
  codec: ObjectCodec,
  id: Uint8Array,
  problems: string[],
): void {
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
