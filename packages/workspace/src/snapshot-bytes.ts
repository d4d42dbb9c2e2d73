// A snapshot as callers of the library hold it: what is known of it, and its content when asked
// for.

import type { Snapshot, SnapshotInfo } from "@devdev/protocol";
import type { Tree } from "@devdev/vfs";

import type { Timeline } from "./timeline.js";

export function withBytes(timeline: Timeline, info: SnapshotInfo): Snapshot {
  const toBytes = async (): Promise<Buffer> => {
    const { tree, meta } = await timeline.exported(`#${info.sequence}`);
    using exported: Tree = tree;
    return await exported.toBytes(meta);
  };
  return { ...info, toBytes };
}
