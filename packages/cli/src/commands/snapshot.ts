// devdev snapshot, devdev snapshots, devdev restore.

import { duration, line, printJson, shortId, size, table, time } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";
import { pathsWithin } from "./travel.js";

export async function snapshot(
  options: GlobalOptions & { message?: string; name?: string },
): Promise<void> {
  using session = await Session.open(options);
  const { id } = await session.workspaceAsLeft();
  const { message, name } = options;
  const taken = await session.call("snapshot/take", {
    workspace: id,
    ...(message !== undefined && { message }),
    ...(name !== undefined && { name }),
  });
  if (options.json) return printJson(taken);
  const files = `${taken.filesChanged} ${taken.filesChanged === 1 ? "file" : "files"} changed`;
  line(
    `snapshot ${shortId(taken.id)}${taken.name === undefined ? "" : ` ${taken.name}`} (${files}, ${duration(taken.durationMs)})`,
  );
}

export async function snapshots(options: GlobalOptions): Promise<void> {
  using session = await Session.open(options);
  const { id } = await session.workspace();
  const all = await session.call("snapshot/list", { workspace: id });
  if (options.json) return printJson(all);
  if (all.length === 0) return line("no snapshots; take one with `devdev snapshot`");
  const rows = all.map((s) => [
    String(s.sequence),
    shortId(s.id),
    time(s.createdAt),
    size(s.bytes),
    s.name ?? (s.automatic ? "(automatic)" : "-"),
    s.message ?? "",
  ]);
  table(["#", "ID", "TAKEN", "SIZE", "NAME", "MESSAGE"], rows);
}

export async function restore(
  ref: string,
  paths: string[],
  options: GlobalOptions & { live?: boolean; kill?: boolean },
): Promise<void> {
  using session = await Session.open(options);
  const summary = await session.workspaceAsLeft();
  const { id } = summary;
  const result = await session.call("snapshot/restore", {
    workspace: id,
    ref,
    ...(paths.length > 0 && { paths: await pathsWithin(summary, paths) }),
    ...(options.live && { live: true }),
    ...(options.kill && { kill: true }),
  });
  if (options.json) return printJson(result);
  const files = `${result.filesChanged} ${result.filesChanged === 1 ? "file" : "files"} changed`;
  const what = paths.length === 0 ? shortId(result.id) : `from ${ref}`;
  line(`restored ${what} (${files}, ${duration(result.durationMs)})`);
  line(`undo with: devdev undo, or devdev restore ${shortId(result.before.id)}`);
}
