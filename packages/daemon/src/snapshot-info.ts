// A snapshot as the protocol carries it: what is known of it, without what a library's own can do.

import type { SnapshotInfo } from "@devdev/protocol";
import { defined } from "./mounting.js";

export function snapshotInfo(snapshot: SnapshotInfo): SnapshotInfo {
  const { id, sequence, name, message, automatic, createdAt, bytes, inodes } = snapshot;
  return { id, sequence, automatic, createdAt, bytes, inodes, ...defined({ name, message }) };
}
