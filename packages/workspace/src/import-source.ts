// What a host imports from: a file of the host, or pieces as a client sends them.

import { resolve } from "node:path";

import type { SnapshotInfo, WorkspaceSummary } from "@devdev/protocol";

import { refuseInMount } from "./host-refusals.js";
import { regularFile } from "./regular-file.js";

/** What became of an import. */
export type Imported = WorkspaceSummary & {
  /** Bytes that were read. */
  bytes: number;
  /** Entries that were left out. */
  skipped: number;
  snapshot: SnapshotInfo;
};

interface Source {
  from: string | AsyncIterable<Uint8Array>;
  bytes(): number;
  /** What a workspace without a name is called after. */
  after: { mountPath?: string };
}

export async function importSource(
  all: readonly WorkspaceSummary[],
  source: string | AsyncIterable<Uint8Array>,
  { nameFromFile = true }: { nameFromFile?: boolean },
): Promise<Source> {
  if (typeof source !== "string") {
    let bytes = 0;
    const from = counted(source, (more) => (bytes += more));
    return { from, bytes: () => bytes, after: {} };
  }
  refuseInMount(all, source);
  const { size } = await regularFile(source);
  const after = nameFromFile ? { mountPath: withoutExtension(source) } : {};
  return { from: resolve(source), bytes: () => size, after };
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  count: (more: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    count(piece.length);
    yield piece;
  }
}

/** Archives have several, of which none belongs into a name. */
function withoutExtension(file: string): string {
  return file.replace(/\.(tar\.[^./]+|[^./]+)$/, "");
}
