// The integrity check: the storage itself, and every page and block that anything kept reaches.
// Of a store that is written meanwhile, it is for who reads at one moment: a thread of its own.

import { IdSet } from "./id-set.js";
import { hexOf, ID_BYTES, idAt, isMissing } from "./store.js";
import type { BlockStore, MetadataStore, ObjectCodec, Scan } from "./store.js";

/** No more are listed: a lost disk page can damage thousands of objects. */
const MOST_PROBLEMS = 100;
/** Between two reports of progress. */
const REPORT_EVERY = 1000;
const SLICE = 1024;

/** What a check reads of a store. */
export interface CheckedStore {
  readonly blocks: Pick<BlockStore, "get" | "missing" | "scan">;
  readonly metadata: Pick<MetadataStore, "page" | "roots" | "scanPages">;
  verify(): string[];
}

export interface CheckOptions {
  /** Read and hash all blocks (default), or only see that they are there. */
  deep?: boolean;
  onProgress?: (objects: number) => void;
}

export interface CheckReport {
  ok: boolean;
  /** One sentence each, at most 100. */
  problems: string[];
  roots: number;
  pages: number;
  blocks: number;
  /** What nothing reaches: waste, not damage. */
  orphans: { objects: number; bytes: number };
  /** Ids of what is missing or has other bytes than it should. */
  damage: Damage;
}

export interface Damage {
  pages: Uint8Array[];
  blocks: Uint8Array[];
}

export function check(
  store: CheckedStore,
  codec: ObjectCodec,
  options: CheckOptions = {},
): CheckReport {
  return new Check(store, codec, options).run();
}

const NOTHING = { pages: new Uint8Array(0), blocks: new Uint8Array(0) };

class Check {
  readonly #store: CheckedStore;
  readonly #codec: ObjectCodec;
  readonly #deep: boolean;
  readonly #onProgress: (objects: number) => void;
  readonly #problems: string[] = [];
  readonly #damage: Damage = { pages: [], blocks: [] };
  readonly #pages = new IdSet();
  readonly #blocks = new IdSet();
  #seen = 0;

  constructor(store: CheckedStore, codec: ObjectCodec, { deep, onProgress }: CheckOptions) {
    this.#store = store;
    this.#codec = codec;
    this.#deep = deep ?? true;
    this.#onProgress = onProgress ?? (() => undefined);
  }

  run(): CheckReport {
    this.#problems.push(...this.#store.verify());
    const roots = this.#roots();
    const waiting = [...roots];
    for (let id = waiting.pop(); id; id = waiting.pop()) {
      if (!this.#pages.add(id)) continue;
      const { pages, blocks } = this.#page(id);
      for (let i = 0; i * ID_BYTES < pages.length; i++) waiting.push(idAt(pages, i));
      this.#checkBlocks(blocks);
    }
    const orphans = this.#orphans();
    return {
      ok: this.#problems.length === 0,
      problems: this.#problems.slice(0, MOST_PROBLEMS),
      roots: roots.length,
      pages: this.#pages.size,
      blocks: this.#blocks.size,
      orphans,
      damage: this.#damage,
    };
  }

  #roots(): Uint8Array[] {
    try {
      return this.#store.metadata.roots();
    } catch (error) {
      this.#problems.push(`the list of what is kept cannot be read: ${(error as Error).message}`);
      return [];
    }
  }

  #page(id: Uint8Array): { pages: Uint8Array; blocks: Uint8Array } {
    this.#advance();
    const fault = reading(() => {
      const page = this.#store.metadata.page(id);
      if (!page) return "is missing";
      if (!this.#codec.verifyPage(id, page)) return "has other bytes than its id says";
      return this.#codec.references(page);
    });
    if (typeof fault !== "string") return fault;
    this.#problems.push(`page ${hexOf(id)} ${fault}`);
    this.#damage.pages.push(id);
    return NOTHING;
  }

  #checkBlocks(ids: Uint8Array): void {
    const fresh: Uint8Array[] = [];
    for (let i = 0; i * ID_BYTES < ids.length; i++) {
      if (this.#blocks.add(idAt(ids, i))) fresh.push(idAt(ids, i));
    }
    const missing = this.#deep ? undefined : this.#store.blocks.missing(Buffer.concat(fresh));
    for (const [i, id] of fresh.entries()) {
      this.#advance();
      const fault = missing ? isMissing(missing, i) && "is missing" : this.#blockFault(id);
      if (fault === false) continue;
      this.#problems.push(`block ${hexOf(id)} ${fault}`);
      this.#damage.blocks.push(id);
    }
  }

  #blockFault(id: Uint8Array): string | false {
    return reading(() => {
      const block = this.#store.blocks.get(id);
      if (!block) return "is missing";
      return !this.#codec.verifyBlock(id, block) && "has other bytes than its id says";
    });
  }

  #orphans(): CheckReport["orphans"] {
    const found = { objects: 0, bytes: 0 };
    const { blocks, metadata } = this.#store;
    try {
      count((from) => metadata.scanPages(from, SLICE), this.#pages, found);
      count((from) => blocks.scan(from, SLICE), this.#blocks, found);
    } catch (error) {
      this.#problems.push(`objects cannot be listed: ${(error as Error).message}`);
    }
    return found;
  }

  #advance(): void {
    if (++this.#seen % REPORT_EVERY === 0) this.#onProgress(this.#seen);
  }
}

function count(scan: (from: number) => Scan, reached: IdSet, found: CheckReport["orphans"]): void {
  for (let from: number | undefined = 0; from !== undefined;) {
    const { objects, next }: Scan = scan(from);
    for (const { id, bytes } of objects) {
      if (reached.has(id)) continue;
      found.objects += 1;
      found.bytes += bytes;
    }
    from = next;
  }
}

/** What reading fails with, as the end of a sentence. */
function reading<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
}
