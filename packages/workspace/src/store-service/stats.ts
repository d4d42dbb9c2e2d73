// How large a store is, as it is told to people.

import { statSync } from "node:fs";
import { join } from "node:path";

import type { StoreStats } from "@devdev/protocol";
import { DATABASE_FILE, SCHEMA_VERSION, statistics } from "@devdev/store";
import type { MeasuredStore, MetadataStore, StoredObject } from "@devdev/store";

import { decodePage, unpackPage } from "../salvage/page-codec.js";
import { engineCodec } from "./codec.js";
import { LIMIT } from "./persist.js";

interface CountedStore extends MeasuredStore {
  readonly metadata: MeasuredStore["metadata"] & Pick<MetadataStore, "counter">;
}

export function statsOf(store: CountedStore, directory: string): StoreStats {
  const { workspaces, ...totals } = statistics(store, engineCodec, treeBytes);
  const { blocks, pages, logicalBytes } = totals;
  const limit = store.metadata.counter(LIMIT);
  return {
    schema: SCHEMA_VERSION,
    files: { database: bytesOf(directory, ""), log: bytesOf(directory, "-wal") },
    ...totals,
    dedupRatio: ratio(logicalBytes, blocks.rawBytes),
    compressionRatio: ratio(blocks.rawBytes + pages.rawBytes, blocks.bytes + pages.bytes),
    ...(limit > 0 && { limit }),
    workspaces: store.metadata.workspaces().map(({ id, name }) => ({
      id,
      name,
      snapshots: store.metadata.snapshots(id).length,
      ...(workspaces.get(id) ?? { uniqueBytes: 0, sharedBytes: 0 }),
    })),
  };
}

function treeBytes(root: StoredObject): number {
  const page = decodePage(unpackPage(root));
  return page.kind === "T" ? page.bytes : 0;
}

function bytesOf(directory: string, end: string): number {
  return statSync(join(directory, `${DATABASE_FILE}${end}`), { throwIfNoEntry: false })?.size ?? 0;
}

function ratio(above: number, below: number): number {
  return below === 0 ? 1 : Math.round((above / below) * 1000) / 1000;
}
