// The parts of a workspace that ends with the process: an engine, and snapshots in memory. No
// thread, no file.

import { randomBytes } from "node:crypto";

import { argumentError } from "@devdev/errno";
import type { WorkspaceOptions } from "@devdev/protocol";
import { type ImportSource, Tree, Vfs } from "@devdev/vfs";

import { MemoryKeeper, type Shared } from "./memory-keeper.js";
import { checkWorkspaceName, freshName } from "./names.js";
import {
  checkAutosnapshot,
  defined,
  keepImported,
  nowOf,
  readImport,
  vfsOptionsOf,
} from "./parts.js";
import { changedRule } from "./retention-rule.js";
import type { ImportRun, WorkspaceParts } from "./parts.js";

/** Ids look alike wherever a workspace is kept. */
export function freshId(): string {
  return randomBytes(8).toString("hex");
}

/** Nothing in an ephemeral workspace is ever durable. */
export function notDurable(): Error {
  const message = "an ephemeral workspace keeps nothing, so it cannot be durable";
  return argumentError("TypeError", "ERR_INVALID_ARG_VALUE", message);
}

/** `bases`: of a fork, what it has in common with others. */
export function ephemeralParts(
  options: WorkspaceOptions,
  tree?: Tree,
  bases: Shared[] = [],
): WorkspaceParts {
  const { name = freshName(new Set()) } = options;
  if (options.durable) throw notDurable();
  checkWorkspaceName(name);
  const vfsOptions = vfsOptionsOf(options);
  const vfs = tree ? Vfs.fromTree(tree, vfsOptions) : Vfs.create(vfsOptions);
  const { writeback, autosnapshot } = options;
  if (autosnapshot !== undefined) checkAutosnapshot(autosnapshot);
  const retention = options.retention && changedRule({}, options.retention);
  const [id, keeper, now] = [freshId(), new MemoryKeeper(bases), nowOf(options)];
  const fork: WorkspaceParts["fork"] = async (shared, point, naming) => {
    const base = {
      other: id,
      name,
      kind: "fork",
      at: point.at,
      tree: Tree.attach(shared.handle),
    } as const;
    const forked = { ...options, name: naming.name ?? freshName(new Set()) };
    const parts = ephemeralParts(forked, shared, [...keeper.forked(point), base]);
    const detail = { other: { id, name } };
    await parts.keeper.history.add({ kind: "start", at: parts.now(), detail });
    const other = { id: parts.id, name: parts.name };
    await keeper.history.add({ kind: "fork", at: now(), detail: { other } });
    return parts;
  };
  return { id, name, vfs, keeper, now, fork, ...defined({ writeback, autosnapshot, retention }) };
}

/** From an exported file or its bytes. */
export async function importedEphemeral(
  source: ImportSource,
  options: WorkspaceOptions & ImportRun,
): Promise<WorkspaceParts> {
  using tree = await readImport(source, options);
  const parts = ephemeralParts(options, tree);
  await keepImported(parts, tree);
  return { ...parts, skipped: tree.skipped };
}
