// Everything that a store keeps, by what people call it, and which of it has lost parts.

import { hexOf, ID_BYTES, idAt } from "@devdev/store";
import type { Damage, MetadataStore, ObjectCodec, SnapshotRow } from "@devdev/store";

import { unpackPage } from "./page-codec.js";
import { emptyTree, type Salvaged, salvage } from "./salvage.js";

/** One root, and whose it is. */
export interface KeptState {
  workspace: { id: string; name: string };
  what: string;
  root: Uint8Array;
  kind: "live" | "snapshot" | "base";
  snapshot?: SnapshotRow;
  base?: ReturnType<MetadataStore["bases"]>[number];
}

type Rows = Pick<MetadataStore, "bases" | "page" | "snapshots" | "workspaces">;

export function keptStates(metadata: Rows): KeptState[] {
  return metadata.workspaces().flatMap(({ id, name, checkpoint }) => {
    const workspace = { id, name };
    const states: KeptState[] = [];
    if (checkpoint) {
      states.push({ workspace, what: "the live state", root: checkpoint.root, kind: "live" });
    }
    for (const snapshot of metadata.snapshots(id)) {
      const called = snapshot.name === undefined ? "" : ` (${snapshot.name})`;
      const what = `snapshot #${snapshot.sequence}${called}`;
      states.push({ workspace, what, root: snapshot.root, kind: "snapshot", snapshot });
    }
    for (const base of metadata.bases(id)) {
      const what = `what it has in common with ${base.name} (${base.kind})`;
      states.push({ workspace, what, root: base.root, kind: "base", base });
    }
    return states;
  });
}

/** Which trees have lost parts: pages are looked at once, however many trees share them. */
export class DamageMap {
  readonly #metadata: Rows;
  readonly #codec: ObjectCodec;
  readonly #gone: Set<string>;
  readonly #known = new Map<string, boolean>();
  readonly #salvaged = new Map<string, Salvaged | undefined>();
  /** Pages of mended trees that the store may not have, by id. */
  readonly pages = new Map<string, Buffer>();
  readonly #idOf: (page: Buffer) => Buffer;

  constructor(metadata: Rows, codec: ObjectCodec, damage: Damage, idOf: (page: Buffer) => Buffer) {
    this.#metadata = metadata;
    this.#codec = codec;
    this.#idOf = idOf;
    this.#gone = new Set([...damage.pages, ...damage.blocks].map(hexOf));
  }

  touches(id: Uint8Array): boolean {
    const key = hexOf(id);
    if (this.#gone.has(key)) return true;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const page = this.#metadata.page(id);
    if (!page) return true;
    const { pages, blocks } = this.#codec.references(page);
    let touched = false;
    for (let i = 0; i * ID_BYTES < blocks.length && !touched; i++) {
      touched = this.#gone.has(hexOf(idAt(blocks, i)));
    }
    for (let i = 0; i * ID_BYTES < pages.length && !touched; i++) {
      touched = this.touches(idAt(pages, i));
    }
    this.#known.set(key, touched);
    return touched;
  }

  /** What a mended tree would be; its new pages are in `pages`. */
  salvaged(root: Uint8Array): Salvaged | undefined {
    const key = hexOf(root);
    if (!this.#salvaged.has(key)) this.#salvaged.set(key, this.#salvage(root));
    return this.#salvaged.get(key);
  }

  /** The root of a tree with nothing in it. */
  empty(): Buffer {
    return emptyTree({ add: (page) => this.#add(page) });
  }

  #add(page: Buffer): Buffer {
    const id = this.#idOf(page);
    this.pages.set(hexOf(id), page);
    return id;
  }

  #salvage(root: Uint8Array): Salvaged | undefined {
    return salvage(root, {
      page: (id) => {
        if (this.#gone.has(hexOf(id))) return undefined;
        const stored = this.#metadata.page(id);
        return stored && unpackPage(stored);
      },
      isGone: (block) => this.#gone.has(hexOf(block)),
      add: (page) => this.#add(page),
    });
  }
}
