// Repairs a store whose check found damage: takes out what is broken, mends the trees that need it,
// and says what they have lost. What is taken out is kept aside; nothing that could be read before
// is lost by it.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { RepairedState, StoreRepair } from "@devdev/protocol";
import type { Damage, ObjectCodec, Store, StoredObject } from "@devdev/store";
import { hexOf } from "@devdev/store";
import { pageId, type Tree, TreeLoader } from "@devdev/vfs";

import { encodingsOf } from "./encodings.js";
import { stateOf } from "./report.js";
import { DamageMap, type KeptState, keptStates } from "./states.js";

export interface RepairOptions {
  dryRun: boolean;
  /** Where broken objects are put, if there are any. */
  aside: string;
  /** Workspaces that are open: what they hold in memory is not replaced. */
  open: ReadonlySet<string>;
  /** Ids that a collection under way must spare. */
  protect?: (ids: Uint8Array) => void;
}

type Outcome = Omit<StoreRepair, "durationMs" | "ok">;

/** A mended tree, looked at as a whole by the engine. */
interface Whole {
  root: Buffer;
  contentId: string;
  bytes: number;
  inodes: number;
}

export async function repairStore(
  store: Store,
  codec: ObjectCodec,
  damage: Damage,
  options: RepairOptions,
): Promise<Outcome> {
  return new Repair(store, codec, damage, options).run();
}

class Repair {
  readonly #store: Store;
  readonly #codec: ObjectCodec;
  readonly #damage: Damage;
  readonly #options: RepairOptions;
  readonly #result: Outcome;

  constructor(store: Store, codec: ObjectCodec, damage: Damage, options: RepairOptions) {
    this.#store = store;
    this.#codec = codec;
    this.#options = options;
    const { dryRun } = options;
    this.#result = { dryRun, mended: 0, removed: 0, states: [], left: [] };
    this.#damage = {
      pages: damage.pages.filter((id) => !this.#mendPage(id)),
      blocks: damage.blocks.filter((id) => !this.#mendBlock(id)),
    };
  }

  async run(): Promise<Outcome> {
    const map = new DamageMap(this.#store.metadata, this.#codec, this.#damage, pageId);
    const states = keptStates(this.#store.metadata);
    const damaged = states.filter(({ root }) => map.touches(root));
    for (const state of damaged) await this.#state(state, map, states);
    this.#takeOut();
    return this.#result;
  }

  #mendPage(id: Uint8Array): boolean {
    const { metadata } = this.#store;
    const object = readable(() => metadata.page(id));
    const right = object && encodingsOf(object).find((each) => this.#codec.verifyPage(id, each));
    if (!right) return false;
    this.#replace(() => {
      metadata.deletePages([id]);
      metadata.putPages([{ id, ...right }]);
    });
    return true;
  }

  #mendBlock(id: Uint8Array): boolean {
    const { blocks } = this.#store;
    const object = readable(() => blocks.get(id));
    const right = object && encodingsOf(object).find((each) => this.#codec.verifyBlock(id, each));
    if (!right) return false;
    this.#replace(() => {
      blocks.delete([id]);
      blocks.put([{ id, ...right }]);
    });
    return true;
  }

  #replace(work: () => void): void {
    this.#result.mended += 1;
    if (!this.#options.dryRun) this.#store.transaction(work);
  }

  async #state(state: KeptState, map: DamageMap, all: KeptState[]): Promise<void> {
    const salvaged = map.salvaged(state.root);
    const told = stateOf(state, salvaged);
    if (state.kind === "live" && this.#options.open.has(state.workspace.id)) {
      const { name } = state.workspace;
      this.#result.left.push(
        `the live state of ${name} is damaged and in use: \`devdev daemon stop\`, then repair again`,
      );
      return;
    }
    try {
      const whole = salvaged && (await this.#whole(salvaged.root, map));
      const outcome = whole ? this.#mended(state, whole, map) : this.#beyondRepair(state, all, map);
      this.#result.states.push({ ...told, outcome } satisfies RepairedState);
    } catch (error) {
      const { name } = state.workspace;
      this.#result.left.push(`${state.what} of ${name}: ${(error as Error).message}`);
    }
  }

  /** The engine takes the mended tree, or throws. Its page then says how many bytes it has. */
  async #whole(root: Buffer, map: DamageMap): Promise<Whole> {
    using tree = await this.#load(root, map);
    return { root, contentId: await tree.contentId(), bytes: tree.bytes, inodes: tree.inodes };
  }

  async #load(root: Buffer, map: DamageMap): Promise<Tree> {
    using loader = TreeLoader.start(root);
    for (let wanted = loader.wanted(); wanted.length > 0; wanted = loader.wanted()) {
      for (const id of wanted) {
        const fresh = map.pages.get(hexOf(id));
        const page = fresh ? asObject(fresh) : this.#store.metadata.page(id);
        if (!page) throw new Error(`page ${hexOf(id)} is missing`);
        loader.supply({ id, ...page });
      }
    }
    return loader.finish();
  }

  #mended(state: KeptState, whole: Whole, map: DamageMap): string {
    const { metadata } = this.#store;
    const { root } = whole;
    this.#commit(map, () => {
      if (state.snapshot) {
        const { workspace, sequence } = state.snapshot;
        metadata.replaceSnapshot(workspace, sequence, whole);
      } else if (state.base) metadata.setBase({ ...state.base, root });
      else metadata.setCheckpoint(state.workspace.id, { root, at: Date.now() });
    });
    return "what is left of it is a whole tree again";
  }

  /** Nothing of it can be read, not even what it is made of. */
  #beyondRepair(state: KeptState, all: KeptState[], map: DamageMap): string {
    const { metadata } = this.#store;
    if (state.snapshot) {
      const { workspace, sequence } = state.snapshot;
      this.#commit(undefined, () => void metadata.removeSnapshot(workspace, sequence));
      return "nothing of it could be read; it was removed";
    }
    const own = all.filter((each) => each.snapshot && each.workspace.id === state.workspace.id);
    const whole = own.findLast(({ root }) => !map.touches(root));
    const mended = own.findLast(({ root }) => map.salvaged(root));
    const instead = whole ?? mended;
    const root = whole?.root ?? (mended && map.salvaged(mended.root)?.root) ?? map.empty();
    this.#commit(map, () => {
      if (state.base) metadata.setBase({ ...state.base, root });
      else metadata.setCheckpoint(state.workspace.id, { root, at: Date.now() });
    });
    const what = instead?.what ?? "an empty tree";
    return `nothing of it could be read; ${what} stands in for it`;
  }

  #commit(map: DamageMap | undefined, rows: () => void): void {
    if (this.#options.dryRun) return;
    const pages = [...(map?.pages ?? [])].map(([key, data]) => ({
      id: Buffer.from(key, "hex"),
      ...asObject(data),
    }));
    this.#options.protect?.(Buffer.concat(pages.map(({ id }) => id)));
    this.#store.transaction(() => {
      this.#store.metadata.putPages(pages);
      rows();
    });
  }

  /** What is broken goes, so that the same content can be stored again. */
  #takeOut(): void {
    const { blocks, metadata } = this.#store;
    const broken = [
      ...this.#damage.pages.map((id) => ({
        file: `page-${hexOf(id)}`,
        object: readable(() => metadata.page(id)),
        remove: () => metadata.deletePages([id]),
      })),
      ...this.#damage.blocks.map((id) => ({
        file: `block-${hexOf(id)}`,
        object: readable(() => blocks.get(id)),
        remove: () => blocks.delete([id]),
      })),
    ].filter(({ object }) => object !== undefined);
    if (broken.length === 0) return;
    const { aside, dryRun } = this.#options;
    this.#result.quarantine = aside;
    this.#result.removed = broken.length;
    if (dryRun) return;
    mkdirSync(aside, { recursive: true, mode: 0o700 });
    for (const { file, object, remove } of broken) {
      if (object) writeFileSync(join(aside, file), object.data, { mode: 0o600 });
      this.#store.transaction(remove);
    }
  }
}

function asObject(data: Buffer): StoredObject {
  return { encoding: 0, rawLength: data.length, data };
}

function readable<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    // It cannot be read: that is what is being repaired.
    return undefined;
  }
}
