// What the log says of requests that changed something, so that it reads as the history of the
// workspaces: names, places and counts, never contents.

import type { Method, Params, Results } from "@devdev/protocol";

type Fields = Record<string, unknown>;
type Entries = {
  [M in Method]?: (result: Results[M], params: Params<M>) => readonly [message: string, Fields];
};

const ENTRIES: Entries = {
  "workspace/mount": ({ name, mountPoint, created, ephemeral, checkpointAt }) => [
    "mounted",
    { workspace: name, mountPoint, created, ephemeral, checkpointAt },
  ],
  "workspace/create": ({ name, ephemeral }) => ["created", { workspace: name, ephemeral }],
  "workspace/unmount": ({ mountPoint }, { workspace, force = false }) => [
    "unmounted",
    { workspace, mountPoint, force },
  ],
  "workspace/remove": ({ name, id }) => ["removed", { workspace: name, id }],
  "workspace/import": ({ name, bytes, snapshot }, { file }) => [
    "imported",
    { workspace: name, file, bytes, inodes: snapshot.inodes, snapshot: snapshot.id },
  ],
  "workspace/checkpoint": (_, { workspace }) => ["checkpointed", { workspace }],
  "snapshot/take": ({ id, sequence, name, filesChanged, bytes, pauseMs }, { workspace }) => [
    "snapshot taken",
    { workspace, snapshot: id, sequence, name, filesChanged, bytes, pauseMs },
  ],
  "snapshot/restore": ({ id, before, filesChanged }, { workspace }) => [
    "restored",
    { workspace, snapshot: id, before: before.sequence, filesChanged },
  ],
  "snapshot/remove": ({ removed }, { workspace }) => [
    "snapshots removed",
    { workspace, snapshots: removed.map(({ sequence }) => sequence) },
  ],
  "store/repair": ({ dryRun, ok, mended, removed, states }) => [
    "store repaired",
    { dryRun, ok, mended, removed, states: states.length },
  ],
  "workspace/retention": (rule, { workspace }) => ["retention", { workspace, ...rule }],
  "snapshot/export": ({ id, bytes, file }, { workspace }) => [
    "exported",
    { workspace, snapshot: id, file, bytes },
  ],
};

/** Message and fields of the line for a request that was answered; undefined: none is due. */
export function entryOf(
  method: string,
  result: unknown,
  params: unknown,
): readonly [message: string, Fields] | undefined {
  if (!Object.hasOwn(ENTRIES, method)) return undefined;
  const entry = ENTRIES[method as Method] as (
    result: unknown,
    params: unknown,
  ) => readonly [message: string, Fields];
  return entry(result, params);
}
