// Which open workspaces were forked from one another: one that is brought back from the store
// shares memory with the nearest of them, as forks do that were made in this process.

import type { WorkspaceRow } from "@devdev/store";
import type { Tree } from "@devdev/vfs";

import type { WorkspaceParts } from "./parts.js";
import type { StoreService } from "./store-service/store-service.js";
import { openStored } from "./stored.js";

/** Ids of what a workspace was forked from, the nearest last. */
type Ancestors = readonly string[];

export class Relatives {
  readonly #open = new Map<string, Ancestors>();

  /** Unless it is known already. */
  add(id: string, ancestors: Ancestors): void {
    if (!this.#open.has(id)) this.#open.set(id, ancestors);
  }

  addFork(id: string, source: string): void {
    this.#open.set(id, [...(this.#open.get(source) ?? []), source]);
  }

  remove(id: string): void {
    this.#open.delete(id);
  }

  /** What it was forked from, else a fork of it, else one that has a source in common with it. */
  nearest(id: string, ancestors: Ancestors): string | undefined {
    const others = [...this.#open].filter(([other]) => other !== id);
    const fork = others.find(([, theirs]) => theirs.includes(id));
    const sibling = others.find(([, theirs]) => theirs.some((each) => ancestors.includes(each)));
    return ancestors.findLast((each) => this.#open.has(each)) ?? fork?.[0] ?? sibling?.[0];
  }

  /** Brings a workspace back; `lend` gives the live state of an open one. */
  async open(
    store: StoreService,
    row: WorkspaceRow,
    lend: (id: string) => Tree | undefined,
  ): Promise<WorkspaceParts> {
    const forks = (await store.bases(row.id)).filter(({ kind }) => kind === "fork");
    const ancestors = forks.map(({ other }) => other);
    const nearest = this.nearest(row.id, ancestors);
    using like = nearest === undefined ? undefined : lent(() => lend(nearest));
    const parts = await openStored(store, row, {}, like);
    this.add(row.id, ancestors);
    return parts;
  }
}

function lent(lend: () => Tree | undefined): Tree | undefined {
  try {
    return lend();
  } catch {
    // It is being closed: the other one has all of its memory to itself then.
    return undefined;
  }
}
