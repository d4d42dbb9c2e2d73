// Entry of the reader's thread: a connection that only reads, and brings back what engines need (a
// block that is not in memory, a snapshot that somebody looks into), whole trees, and rows. It
// shares nothing with the writer, so a long commit delays no reader of a file, and no list.

import { parentPort, workerData } from "node:worker_threads";

import { hexOf, openSqliteReader, StoreError } from "@devdev/store";
import type { Page, StoreReader } from "@devdev/store";
import { giveBackMemory, serveNeeds, Tree, TreeLoader, verifyPage } from "@devdev/vfs";
import type { Need, NeedsServer } from "@devdev/vfs";

import { listedName } from "../snapshot-names.js";
import { serveCalls } from "./calls.js";
import type { ReaderCalls } from "./interface.js";

/** Pages read in one go, before the needs of files have their turn. */
const LOAD_SLICE = 256;
/** Damage is told of once, and so often at most. */
const MOST_TOLD = 1000;

/** When it has read nothing for so long, the connection lets go of what it keeps. */
const REST_MS = 10_000;

let reader: StoreReader | undefined;
let resting: NodeJS.Timeout | undefined;
const servers = new Map<number, NeedsServer>();
/** Trees on their way to another thread, which says when it has them. */
const loaned = new Map<number, Tree>();
const told = new Set<string>();

/** For the log: who reads a file can only be told EIO. */
function tellDamage(workspace: string, what: string): void {
  const key = `${workspace} ${what}`;
  if (told.has(key) || told.size >= MOST_TOLD) return;
  told.add(key);
  // A worker is no window: there is no origin to name.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage({ damaged: { workspace, what } });
}

function rest(): void {
  resting = undefined;
  reader?.rest();
  giveBackMemory();
}

function opened(): StoreReader {
  if (resting) resting.refresh();
  else resting = setTimeout(rest, REST_MS).unref();
  return (reader ??= openSqliteReader((workerData as { directory: string }).directory));
}

async function load(root: Uint8Array, reference?: Tree): Promise<Tree> {
  using loader = TreeLoader.start(root, reference && { reference });
  for (let wanted = loader.wanted(); wanted.length > 0; wanted = loader.wanted()) {
    await supply(loader, wanted);
  }
  return loader.finish();
}

/** While other threads take in what was read, more is read. */
async function supply(loader: TreeLoader, wanted: readonly Uint8Array[]): Promise<void> {
  let supplied: Promise<void> = Promise.resolve();
  try {
    for (let from = 0; from < wanted.length; from += LOAD_SLICE) {
      const ids = wanted.slice(from, from + LOAD_SLICE);
      const pages = opened().metadata.pages(ids);
      if (pages.length < ids.length) throw missingPage(ids, pages);
      await supplied;
      supplied = takeIn(loader, pages);
    }
  } finally {
    // What fails here has been thrown above, or is below.
    await supplied.catch(() => undefined);
  }
  await supplied;
}

async function takeIn(loader: TreeLoader, pages: readonly Page[]): Promise<void> {
  try {
    await loader.supplyAll(pages);
  } catch (error) {
    const damaged = pages.find((page) => !verifyPage(page));
    const which = damaged ? `page ${hexOf(damaged.id)}` : "a page";
    const message = `${which} is damaged: ${(error as Error).message}`;
    throw new StoreError("ERR_STORE_CORRUPT", message, error);
  }
}

function missingPage(ids: readonly Uint8Array[], pages: readonly Page[]): StoreError {
  const there = new Set(pages.map(({ id }) => hexOf(id)));
  const lost = ids.map(hexOf).find((id) => !there.has(id));
  return new StoreError("ERR_STORE_CORRUPT", `page ${lost} is missing`);
}

/** Answers one need; what the store cannot give fails for whoever waits, and for nobody else. */
async function answer(server: NeedsServer, workspace: string, need: Need): Promise<void> {
  try {
    if (need.kind === "block") {
      const block = opened().blocks.get(need.hash);
      if (block && server.supplyBlock({ id: need.hash, ...block })) return;
      // It has failed already for who waits when it was not what it should be.
      if (!block) server.fail(need, "EIO");
      const what = block ? "has other bytes than its id says" : "is missing";
      return tellDamage(workspace, `block ${hexOf(need.hash)} ${what}`);
    }
    const rows = opened().metadata.snapshots(workspace);
    const row = rows.find((each) => need.name.equals(Buffer.from(listedName(each))));
    if (!row) return server.fail(need, "ENOENT");
    server.supplySnapshot(need.name, await load(row.root));
  } catch (error) {
    server.fail(need, "EIO");
    tellDamage(workspace, (error as Error).message);
  }
}

if (!parentPort) throw new Error("this file is the entry of a worker thread");
serveCalls<ReaderCalls>(parentPort, {
  ready: () => void opened(),
  workspaces: () => {
    const { metadata } = opened();
    return metadata.workspaces().map((row) => {
      const source = metadata.bases(row.id).findLast(({ kind }) => kind === "fork");
      const snapshots = metadata.snapshots(row.id).length;
      return { ...row, snapshots, ...(source && { forkOf: source.name }) };
    });
  },
  workspace: (id) => opened().metadata.workspace(id),
  snapshots: (workspace) => opened().metadata.snapshots(workspace),
  bases: (workspace) => opened().metadata.bases(workspace),
  events: (workspace) => opened().metadata.history.events(workspace),
  effects: (workspace, number) => opened().metadata.history.effects(workspace, number),
  openTurns: (workspace) => opened().metadata.history.openTurns(workspace),
  serve: (engine, workspace) => {
    const server = serveNeeds(engine, (needs, self) => {
      for (const need of needs) void answer(self, workspace, need);
    });
    servers.set(engine, server);
  },
  leave: (engine) => {
    servers.get(engine)?.close();
    servers.delete(engine);
  },
  load: async (root, number) => {
    using reference = number === undefined ? undefined : Tree.attach(number);
    const tree = await load(root, reference);
    loaned.set(tree.handle, tree);
    return tree.handle;
  },
  took: (number) => {
    loaned.get(number)?.dispose();
    loaned.delete(number);
  },
  close: () => {
    for (const server of servers.values()) server.close();
    servers.clear();
    clearTimeout(resting);
    reader?.close();
  },
});
