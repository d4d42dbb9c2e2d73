// What a collection would keep and what it would give back if some snapshots were gone, without
// doing it. Of a store that is written meanwhile, it is for who reads at one moment.

import { StoreError } from "./errors.js";
import { IdSet } from "./id-set.js";
import { hexOf, ID_BYTES, idAt } from "./store.js";
import type { BlockStore, MetadataStore, ObjectCodec, Scan } from "./store.js";

const SLICE = 1024;

/** What is read of a store. */
export interface MeasuredStore {
  readonly blocks: Pick<BlockStore, "scan">;
  readonly metadata: Pick<
    MetadataStore,
    "page" | "roots" | "scanPages" | "snapshots" | "workspaces" | "bases"
  >;
}

export interface Measured {
  bytesKept: number;
  bytesFreed: number;
}

export function measure(
  store: MeasuredStore,
  codec: ObjectCodec,
  without: ReadonlyArray<{ workspace: string; sequence: number }>,
): Measured {
  const alive = marked(store, codec, rootsWithout(store, without));
  const total: Measured = { bytesKept: 0, bytesFreed: 0 };
  for (const scan of [
    (from: number) => store.metadata.scanPages(from, SLICE),
    (from: number) => store.blocks.scan(from, SLICE),
  ]) {
    for (let from: number | undefined = 0; from !== undefined;) {
      const { objects, next }: Scan = scan(from);
      for (const { id, bytes } of objects) {
        if (alive.has(id)) total.bytesKept += bytes;
        else total.bytesFreed += bytes;
      }
      from = next;
    }
  }
  return total;
}

/** A root of a removed snapshot stays when anything else has it. */
function rootsWithout(
  { metadata }: MeasuredStore,
  without: ReadonlyArray<{ workspace: string; sequence: number }>,
): Uint8Array[] {
  const gone = new Set(without.map((each) => `${each.workspace}/${each.sequence}`));
  const dropped = new Set<string>();
  const needed = new Set<string>();
  for (const { id, checkpoint } of metadata.workspaces()) {
    if (checkpoint) needed.add(hexOf(checkpoint.root));
    for (const { root } of metadata.bases(id)) needed.add(hexOf(root));
    for (const { sequence, root } of metadata.snapshots(id)) {
      (gone.has(`${id}/${sequence}`) ? dropped : needed).add(hexOf(root));
    }
  }
  const stays = (root: Uint8Array): boolean => !dropped.has(hexOf(root)) || needed.has(hexOf(root));
  return metadata.roots().filter((root) => stays(root));
}

function marked({ metadata }: MeasuredStore, codec: ObjectCodec, roots: Uint8Array[]): IdSet {
  const seen = new IdSet();
  for (let id = roots.pop(); id; id = roots.pop()) {
    if (!seen.add(id)) continue;
    const page = metadata.page(id);
    if (!page) throw new StoreError("ERR_STORE_CORRUPT", `page ${hexOf(id)} is missing`);
    const { pages, blocks } = codec.references(page);
    seen.addAll(blocks);
    for (let i = 0; i * ID_BYTES < pages.length; i++) roots.push(idAt(pages, i));
  }
  return seen;
}
