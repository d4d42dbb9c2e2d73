// Entry of the writer's thread: the only connection that writes a store, and the only place that
// decides what goes into one transaction.

import { parentPort, workerData } from "node:worker_threads";

import { openSqliteStore } from "@devdev/store";
import type { LogPosition, Store } from "@devdev/store";

import { passPhase } from "../fault.js";
import { repairStore } from "../salvage/repair.js";
import { serveCalls, WorkerCalls } from "./calls.js";
import { engineCodec } from "./codec.js";
import { fork, noteMerge, setCheckpoint } from "./kinship.js";
import type { CopierCalls, PersistRequest, PersistResult, WriterCalls } from "./interface.js";
import { LogCopier } from "./log-copier.js";
import { Turns } from "./turns.js";
import { ADDED, KEPT, LIMIT, Persisting } from "./persist.js";
import { Upkeep } from "./upkeep.js";

class Writer {
  readonly store: Store;
  readonly running = new Set<Persisting>();
  readonly turns = new Turns();
  readonly upkeep: Upkeep;

  constructor(directory: string) {
    const copier = new LogCopier({
      copy: () => copyInThread(directory),
      isBusy: () => this.running.size > 0,
      onDone: () => this.upkeep.touchSoon(),
    });
    this.store = openSqliteStore(directory, {
      onStep: () => passPhase("migrate"),
      copiesLog: (position) => copier.take(position),
    });
    this.upkeep = new Upkeep(this.store, this.running, copier);
  }

  async persist(request: PersistRequest): Promise<PersistResult> {
    const persisting = new Persisting(this.store, request, (ids) => this.upkeep.protect(ids));
    this.running.add(persisting);
    try {
      const kind = request.background ? "background" : "full";
      return await this.turns.run(request.workspace, kind, () => persisting.run());
    } finally {
      this.running.delete(persisting);
      this.upkeep.touchSoon();
    }
  }

  hurry(workspace: string): void {
    for (const each of this.of(workspace)) each.hurry();
    this.turns.hurry(workspace);
  }

  of(workspace: string): Persisting[] {
    return [...this.running].filter((persisting) => persisting.workspace === workspace);
  }

  async close(): Promise<void> {
    await this.upkeep.stop();
    this.store.maintain(true);
    this.store.close();
  }
}

async function copyInThread(directory: string): Promise<LogPosition | undefined> {
  const url = new URL("./copier.js", import.meta.url);
  const copier = new WorkerCalls<CopierCalls>(url, { directory });
  try {
    return await copier.call("copy");
  } finally {
    await copier.terminate();
  }
}

/** Opened by the first call, so that a refusal is that call's answer. */
let writer: Writer | undefined;
function opened(): Writer {
  return (writer ??= new Writer((workerData as { directory: string }).directory));
}

function rows<T>(work: (store: Store) => T): T {
  const { store, upkeep } = opened();
  const result = work(store);
  upkeep.touch();
  return result;
}

/** Survives the process; what it says of states is found out again when a power loss takes it. */
function soon<T>(work: (metadata: Store["metadata"]) => T): T {
  return rows((store) => store.transaction(() => work(store.metadata), { durable: false }));
}

if (!parentPort) throw new Error("this file is the entry of a worker thread");
serveCalls<WriterCalls>(parentPort, {
  ready: () => void opened(),
  createWorkspace: (row) => rows(({ metadata }) => metadata.createWorkspace(row)),
  fork: (row, point) => rows((store) => fork(store, row, point)),
  noteMerge: (workspace, other, at) => rows((store) => noteMerge(store, workspace, other, at)),
  updateWorkspace: (id, change) => rows(({ metadata }) => metadata.updateWorkspace(id, change)),
  removeWorkspace: (id) => {
    const removed = rows(({ metadata }) => metadata.removeWorkspace(id));
    opened().upkeep.expectGarbage();
    return removed;
  },
  removeSnapshot: (workspace, sequence) => {
    const removed = rows(({ metadata }) => metadata.removeSnapshot(workspace, sequence));
    opened().upkeep.expectGarbage();
    return removed;
  },
  removeSnapshots: (workspace, sequences) => {
    const removed = rows(({ metadata }) => metadata.removeSnapshots(workspace, sequences));
    opened().upkeep.expectGarbage();
    return removed;
  },
  hold: (root) => opened().upkeep.hold(root),
  letGo: (root) => opened().upkeep.letGo(root),
  limit: (bytes) => {
    const { metadata } = opened().store;
    if (bytes !== undefined) metadata.setCounter(LIMIT, bytes ?? 0);
    return metadata.counter(LIMIT) || undefined;
  },
  attend: (engine) => void opened().upkeep.engines.add(engine),
  forget: (engine) => void opened().upkeep.engines.delete(engine),
  persist: (request) => opened().persist(request),
  hurry: (workspace) => opened().hurry(workspace),
  giveUp: (workspace) =>
    opened()
      .of(workspace)
      .forEach((each) => each.giveUp()),
  setCheckpoint: (id, checkpoint, back = {}) => {
    const { upkeep } = opened();
    const protect = (ids: Uint8Array): void => upkeep.protect(ids);
    rows((store) => setCheckpoint(store, id, checkpoint, back, protect));
  },
  repair: (damage, options) => {
    const { store, upkeep } = opened();
    const protect = (ids: Uint8Array): void => upkeep.protect(ids);
    const open = new Set(options.open);
    return repairStore(store, engineCodec, damage, { ...options, open, protect }).finally(() =>
      upkeep.touch(),
    );
  },
  addEvent: (row, ends) => soon(({ history }) => history.addEvent(row, ends)),
  openTurn: (workspace, detail) => soon(({ history }) => history.openTurn(workspace, detail)),
  collect: () => opened().upkeep.collect(),
  statistics: () => {
    const { store, upkeep } = opened();
    const added = store.metadata.counter(ADDED);
    return { bytes: store.metadata.counter(KEPT) + added, added, collecting: upkeep.collecting };
  },
  close: () => writer?.close(),
});
