// The workspaces of a data directory, for a daemon: those in its store, and ephemeral ones beside.

import { DevdevError } from "@devdev/errno";
import type { ForkOptions, WorkspaceOptions, WorkspaceSummary } from "@devdev/protocol";

import { ephemeralParts, importedEphemeral } from "./ephemeral.js";
import type { ExportOptions } from "./export-file.js";
import type { Host, HostOptions } from "./host-interface.js";
import { refuseInMount, refuseInUse } from "./host-refusals.js";
import { HostStore } from "./host-store.js";
import { type Imported, importSource } from "./import-source.js";
import { Interruptions } from "./interruptions.js";
import { freshName } from "./names.js";
import { defined, type ImportRun, increasingTime, type WorkspaceParts } from "./parts.js";
import { Relatives } from "./relatives.js";
import { useStore } from "./shared-store.js";
import type { StoreService } from "./store-service/store-service.js";
import { createStored, importStored } from "./stored.js";
import { summaryOf } from "./summary.js";
import { Workspace } from "./workspace.js";

type CreateOptions = Omit<WorkspaceOptions, "dataDir" | "clock"> & { mountPath?: string };

type Live = Pick<
  WorkspaceSummary,
  "mountPoint" | "transport" | "whyClassic" | "writeback" | "autosnapshot"
>;
/** An ephemeral workspace's summary, as far as it does not change. */
type Beside = Pick<WorkspaceSummary, "id" | "name" | "createdAt" | "lastMountPoint">;

export class WorkspaceHost implements Host {
  readonly store: HostStore;
  readonly #options: HostOptions;
  readonly #store: StoreService;
  readonly #giveBack: () => Promise<void>;
  readonly #open = new Map<string, Promise<Workspace>>();
  /** Those of them that are ready: who asks for all of them waits for none. */
  readonly #ready = new Map<string, Workspace>();
  readonly #relatives = new Relatives();
  readonly #ephemeral = new Map<string, Beside>();
  /** What the process before this one had mounted when it died, until it is mounted again. */
  readonly #interrupted: Interruptions;
  /** No two are made at the same time, so that a list by age has one order only. */
  readonly #createdAt = increasingTime();
  #closing: Promise<void> | undefined;

  private constructor(
    options: HostOptions,
    [store, giveBack]: Awaited<ReturnType<typeof useStore>>,
    interrupted: Interruptions,
  ) {
    [this.#options, this.#store, this.#giveBack] = [options, store, giveBack];
    this.store = new HostStore(store);
    this.#interrupted = interrupted;
  }

  /** Locks the data directory and opens its store. ERR_LOCKED when another process has it. */
  static async open(options: HostOptions): Promise<WorkspaceHost> {
    const shared = await useStore(options.dataDir);
    const [store, giveBack] = shared;
    try {
      return new WorkspaceHost(options, shared, new Interruptions(await store.workspaces()));
    } catch (error) {
      await giveBack();
      throw error;
    }
  }

  async list(): Promise<WorkspaceSummary[]> {
    const rows = await this.#store.workspaces();
    const stored = rows.map((row) =>
      summaryOf(row, { ...this.#live(row.id, row.options), ...this.#interrupted.of(row.id) }),
    );
    const beside = [...this.#ephemeral.values()].map(async (each): Promise<WorkspaceSummary> => {
      const snapshots = (await this.#ready.get(each.id)?.snapshots())?.length ?? 0;
      return { ...each, ...this.#live(each.id, {}), ephemeral: true, durable: false, snapshots };
    });
    const all = [...stored, ...(await Promise.all(beside))];
    return all.toSorted((a, b) => a.createdAt - b.createdAt);
  }

  /** Those that are open now; asks no store, and waits for none that is being opened. */
  opened(): Workspace[] {
    return [...this.#ready.values()];
  }

  async open(id: string): Promise<Workspace> {
    this.#refuseWhenClosing();
    const opened = this.#open.get(id);
    if (opened) return opened;
    return this.#keep(id, async () => {
      const row = (await this.#store.workspaces()).find((each) => each.id === id);
      if (!row) throw new DevdevError("ENOENT", `there is no workspace ${id}`);
      return this.#relatives.open(this.#store, row, (like) => this.#ready.get(like)?.lend());
    });
  }

  async create(options: CreateOptions): Promise<Workspace> {
    this.#refuseWhenClosing();
    const made = { ...options, name: await this.#freeName(options) };
    const parts = options.ephemeral
      ? this.#beside(ephemeralParts(made))
      : await createStored(this.#store, { ...made, createdAt: this.#createdAt() });
    return this.#keep(parts.id, async () => parts);
  }

  async fork(id: string, { from, ...named }: ForkOptions & { name?: string } = {}) {
    const source = await this.open(id);
    const wanted = { mountPath: `${source.name}-fork`, ...named };
    // The store refuses a name that it has; to list all costs more than a fork.
    const name = (this.#ephemeral.size === 0 && named.name) || (await this.#freeName(wanted));
    const parts = await source.forkParts(defined({ from }), { name, createdAt: this.#createdAt() });
    const own = this.#ephemeral.has(id) ? this.#beside(parts) : parts;
    this.#relatives.addFork(parts.id, id);
    return this.#keep(parts.id, async () => own);
  }

  async remove(id: string, { force }: { force: boolean }): Promise<void> {
    this.#refuseWhenClosing();
    const workspace = await this.#open.get(id);
    const isEphemeral = this.#ephemeral.has(id);
    if (workspace) {
      if (!force) await refuseInUse(workspace);
      await workspace.discard();
    }
    if (isEphemeral) return;
    if (await this.#store.removeWorkspace(id)) return;
    throw new DevdevError("ENOENT", `there is no workspace ${id}`);
  }

  async export(
    id: string,
    file: string,
    options: ExportOptions & { ref?: string | number },
  ): Promise<{ id: string; bytes: number; skipped: number }> {
    refuseInMount(await this.list(), file);
    return (await this.open(id)).exportTo(file, options);
  }

  async import(
    source: string | AsyncIterable<Uint8Array>,
    options: ImportRun & Omit<CreateOptions, "mountPath"> & { nameFromFile?: boolean },
  ): Promise<Imported> {
    this.#refuseWhenClosing();
    const { from, bytes, after } = await importSource(await this.list(), source, options);
    const name = await this.#freeName({ ...options, ...after });
    const named = { ...options, name, createdAt: this.#createdAt() };
    const parts = options.ephemeral
      ? this.#beside(await importedEphemeral(from, named))
      : await importStored(this.#store, from, named);
    const workspace = await this.#keep(parts.id, async () => parts);
    const [snapshot] = await parts.keeper.snapshots();
    const summary = (await this.list()).find(({ id }) => id === workspace.id);
    if (!snapshot || !summary) throw new Error("the store lost what it has just taken");
    return { ...summary, bytes: bytes(), skipped: parts.skipped ?? 0, snapshot };
  }

  async check(): Promise<string[]> {
    return (await this.#store.checks.check()).problems;
  }

  collect(): Promise<{ bytesFreed: number; bytesKept: number }> {
    return this.#store.collect();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    const closing = opened.map(async (result) => {
      if (result.status === "rejected") return;
      const { name, mountPoint } = result.value;
      await result.value.close();
      const place = mountPoint === undefined ? {} : { mountPoint };
      this.#options.log.info({ workspace: name, ...place }, "closed");
    });
    const failures = (await Promise.allSettled(closing)).filter((r) => r.status === "rejected");
    for (const { reason } of failures) {
      this.#options.log.error(
        { err: reason as unknown },
        "a workspace could not be closed in order",
      );
    }
    await this.#giveBack();
    if (failures[0]) throw failures[0].reason;
  }

  /** Registers what is being made, so that whoever asks for it meanwhile gets the same. */
  #keep(id: string, make: () => Promise<WorkspaceParts>): Promise<Workspace> {
    const workspace = this.#finish(id, make);
    this.#open.set(id, workspace);
    // Failures belong to who asked; the next one tries again.
    workspace.catch(() => this.#open.delete(id));
    return workspace;
  }

  async #finish(id: string, make: () => Promise<WorkspaceParts>): Promise<Workspace> {
    const parts = await make();
    this.#relatives.add(id, []);
    const onMounted = async (path: string): Promise<void> => {
      this.#interrupted.end(id);
      await parts.onMounted?.(path);
    };
    const onClosed = async (): Promise<void> => {
      this.#open.delete(id);
      this.#ready.delete(id);
      this.#relatives.remove(id);
      await parts.onClosed?.();
    };
    const { log } = this.#options;
    const workspace = new Workspace({ ...parts, onMounted, onClosed, log });
    await workspace.publish();
    this.#ready.set(id, workspace);
    return workspace;
  }

  #beside(parts: WorkspaceParts): WorkspaceParts {
    const beside: Beside = { id: parts.id, name: parts.name, createdAt: this.#createdAt() };
    this.#ephemeral.set(parts.id, beside);
    return {
      ...parts,
      onMounted: async (path) => void (beside.lastMountPoint = path),
      onClosed: async () => void this.#ephemeral.delete(parts.id),
    };
  }

  /** A name is unique among stored and ephemeral workspaces together. */
  async #freeName({ name, mountPath }: { name?: string; mountPath?: string }): Promise<string> {
    const taken = new Set((await this.list()).map((each) => each.name));
    if (name === undefined) return freshName(taken, mountPath);
    if (!taken.has(name)) return name;
    throw new DevdevError("EEXIST", `there is a workspace called ${name} already`);
  }

  #live(id: string, kept: Pick<WorkspaceOptions, "writeback" | "autosnapshot">): Live {
    const { mountPoint, transport, whyClassic } = this.#ready.get(id) ?? {};
    const { writeback = false, autosnapshot = "off" } = this.#ready.get(id) ?? kept;
    return { writeback, autosnapshot, ...defined({ mountPoint, transport, whyClassic }) };
  }

  #refuseWhenClosing(): void {
    if (this.#closing) throw new DevdevError("ERR_STOPPING", "the workspaces are being closed");
  }
}
