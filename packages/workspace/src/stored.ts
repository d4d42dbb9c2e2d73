// The parts of a workspace that is kept in a store: a new one, one that is brought back, one from a
// file.

import { DevdevError } from "@devdev/errno";
import type { WorkspaceOptions } from "@devdev/protocol";
import type { NewWorkspace, WorkspaceRow } from "@devdev/store";
import { type ImportSource, type Tree, Vfs } from "@devdev/vfs";

import { named } from "./damage.js";
import { freshId } from "./ephemeral.js";
import type { Keeper } from "./keeper.js";
import { checkWorkspaceName, freshName } from "./names.js";
import {
  checkAutosnapshot,
  defined,
  importCancelled,
  keepImported,
  nowOf,
  readImport,
  vfsOptionsOf,
} from "./parts.js";
import type { ForkNaming, ImportRun, PointInTime, WorkspaceParts } from "./parts.js";
import { changedRule } from "./retention-rule.js";
import { StoreKeeper } from "./store-keeper.js";
import type { StoreService } from "./store-service/store-service.js";

export type StoredOptions = WorkspaceOptions & {
  mountPath?: string;
  /** Milliseconds since the epoch; default: now. */
  createdAt?: number;
};

/** What is kept of the options of a workspace. */
export type KeptOptions = Pick<
  WorkspaceOptions,
  | "maxBytes"
  | "maxInodes"
  | "xattrs"
  | "durable"
  | "writeback"
  | "autosnapshot"
  | "retention"
  | "uid"
  | "gid"
>;

/** A new workspace. EEXIST when its name is taken; a name that it is given by us is made unique. */
export async function createStored(
  store: StoreService,
  options: StoredOptions,
): Promise<WorkspaceParts> {
  return made(store, options, undefined);
}

/** A new workspace from an exported file or its bytes, with one snapshot of it. */
export async function importStored(
  store: StoreService,
  source: ImportSource,
  options: StoredOptions & ImportRun,
): Promise<WorkspaceParts> {
  const { signal } = options;
  using tree = await readImport(source, options);
  const parts = await made(store, options, tree);
  const giveUp = (): void => store.giveUp(parts.id);
  signal?.addEventListener("abort", giveUp);
  try {
    if (signal?.aborted) throw importCancelled();
    await keepImported(parts, tree);
    return { ...parts, isNew: false, keptAt: parts.now(), skipped: tree.skipped };
  } catch (error) {
    await drop(parts);
    await store.removeWorkspace(parts.id);
    throw signal?.aborted ? importCancelled() : error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}

/**
 * A workspace of the store as it was last kept; what is equal in `like` it shares with that. EBUSY
 * when it is open already.
 */
export async function openStored(
  store: StoreService,
  row: WorkspaceRow,
  given: Pick<WorkspaceOptions, "clock"> = {},
  like?: Tree,
): Promise<WorkspaceParts> {
  const options = { ...(row.options as KeptOptions), ...given };
  const release = claim(store, row);
  try {
    const { checkpoint } = row;
    const what = `the live state of workspace ${row.name}`;
    using tree = checkpoint && (await named(what, () => store.load(checkpoint.root, like)));
    return await assemble(store, row, options, tree, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function made(
  store: StoreService,
  options: StoredOptions,
  tree: Tree | undefined,
): Promise<WorkspaceParts> {
  const taken = await takenNames(store);
  const name = options.name ?? freshName(taken, options.mountPath);
  checkWorkspaceName(name);
  if (taken.has(name))
    throw new DevdevError("EEXIST", `there is a workspace called ${name} already`);
  const { maxBytes, maxInodes, xattrs, durable, writeback, uid, gid, mountPath } = options;
  const retention = options.retention && changedRule({}, options.retention);
  const { autosnapshot } = options;
  if (autosnapshot !== undefined) checkAutosnapshot(autosnapshot);
  const kept: KeptOptions = defined({
    maxBytes,
    maxInodes,
    xattrs,
    durable,
    writeback,
    retention,
    autosnapshot,
    uid,
    gid,
  });
  const row: NewWorkspace = {
    id: freshId(),
    name,
    options: { ...kept },
    createdAt: options.createdAt ?? nowOf(options)(),
    ...(mountPath !== undefined && { mountPath }),
  };
  const release = claim(store, row);
  let parts: WorkspaceParts | undefined;
  try {
    // Checks the options before anything is written.
    parts = await assemble(store, row, options, tree, release);
    await store.createWorkspace(row);
    return { ...parts, isNew: true };
  } catch (error) {
    if (parts) await drop(parts);
    else release();
    throw error;
  }
}

/** Lets go of parts that nobody is given. */
async function drop({ keeper, vfs, onClosed }: WorkspaceParts): Promise<void> {
  await keeper.close();
  vfs.close();
  await onClosed?.();
}

/** What a fork is made from. */
type Source = Pick<WorkspaceRow, "id" | "options"> &
  Pick<Keeper, "history"> &
  Pick<WorkspaceParts, "now">;

/** A workspace over what the store has of another one: `tree` is that of `point`. */
async function forked(
  store: StoreService,
  source: Source,
  tree: Tree,
  point: PointInTime,
  { name: given, createdAt = Date.now() }: ForkNaming,
): Promise<WorkspaceParts> {
  const name = given ?? freshName(await takenNames(store));
  checkWorkspaceName(name);
  const row: NewWorkspace = { id: freshId(), name, options: source.options, createdAt };
  const event = await source.history.following({ kind: "fork", at: source.now() });
  const release = claim(store, row);
  // The engine is made while the store commits.
  const [stored, made] = await Promise.allSettled([
    store.fork(row, { workspace: source.id, ...point, event }),
    assemble(store, row, row.options, tree, release),
  ]);
  if (stored.status === "fulfilled") source.history.added(stored.value.event);
  if (made.status === "fulfilled") {
    const parts = made.value;
    if (stored.status === "fulfilled")
      return { ...parts, isNew: true, keptAt: stored.value.checkpoint.at };
    await drop(parts);
    throw nameTaken(stored.reason, name);
  }
  release();
  throw made.reason;
}

async function takenNames(store: StoreService): Promise<Set<string>> {
  return new Set((await store.workspaces()).map(({ name }) => name));
}

function nameTaken(error: unknown, name: string): unknown {
  // It comes from the writer's thread, and so is no StoreError any more.
  if ((error as { code?: unknown }).code !== "ERR_STORE_EXISTS") return error;
  return new DevdevError("EEXIST", `there is a workspace called ${name} already`);
}

async function assemble(
  store: StoreService,
  row: WorkspaceRow,
  options: WorkspaceOptions,
  tree: Tree | undefined,
  release: () => void,
): Promise<WorkspaceParts> {
  let kept = row.options;
  const vfsOptions = vfsOptionsOf(options);
  const vfs = tree ? Vfs.fromTree(tree, vfsOptions) : Vfs.create(vfsOptions);
  const [keeper, now] = [await StoreKeeper.open(store, row.id, vfs), nowOf(options)];
  const { history } = keeper;
  return {
    id: row.id,
    name: row.name,
    vfs,
    keeper,
    now,
    fork: (...of) => forked(store, { id: row.id, options: kept, history, now }, ...of),
    ...(row.checkpoint && { keptAt: row.checkpoint.at }),
    isDurable: options.durable ?? false,
    ...defined({ writeback: options.writeback, autosnapshot: options.autosnapshot }),
    ...(options.retention && { retention: options.retention }),
    keepOptions: async (change) => {
      kept = { ...kept, ...change };
      await store.updateWorkspace(row.id, { options: kept });
    },
    ...(row.mounted && row.mountPath !== undefined && { interruptedAt: row.mountPath }),
    onMounted: (mountPath) => store.updateWorkspace(row.id, { mountPath, mounted: true }),
    onUnmounted: () => store.updateWorkspace(row.id, { mounted: false }),
    onClosed: async () => release(),
  };
}

/** Two engines of one workspace would replace each other's checkpoints. */
function claim(store: StoreService, { id, name }: { id: string; name: string }): () => void {
  if (store.claims.has(id)) {
    throw new DevdevError("EBUSY", `workspace ${name} is open already in this process`);
  }
  store.claims.add(id);
  return () => void store.claims.delete(id);
}
