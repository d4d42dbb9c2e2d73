// Two trees beside each other, one of which may be a directory of the host or of another workspace:
// what differs, as entries, counts and a patch. Separate from the timeline, which finds the trees.

import { realpath } from "node:fs/promises";

import {
  type DiffEntry,
  type DiffOptions,
  type DiffPiece,
  type DiffResult,
  gatherDiff,
  pathBytes,
} from "@devdev/protocol";
import { Tree } from "@devdev/vfs";

import { patchOf, statsOf } from "./patch/patch.js";
import { HostReader, type Reader } from "./patch/sides.js";

/** One side: a tree and what its content is read from. */
interface Compared {
  tree: Tree;
  reader: Reader;
}

/** What else is known of two trees. */
interface Kinship {
  /** One of them is a directory of the host. */
  hasHost?: boolean;
  /** They are of different workspaces: see `TreeDiff`. */
  apartFrom?: number | undefined;
}

export class Comparison implements Disposable {
  readonly #before: Compared;
  readonly #after: Compared;
  readonly #kinship: Kinship;

  private constructor(sides: Compared[], reverse: boolean | undefined, kinship: Kinship) {
    const [before, after] = reverse ? sides.toReversed() : sides;
    [this.#before, this.#after] = [before as Compared, after as Compared];
    this.#kinship = kinship;
  }

  /** Of two trees, which it disposes of in the end. */
  static of(
    before: Tree,
    after: Tree,
    { reverse }: Pick<DiffOptions, "reverse">,
    apartFrom?: number,
  ): Comparison {
    const sides = [before, after].map((tree) => ({ tree, reader: tree }));
    return new Comparison(sides, reverse, { apartFrom });
  }

  /** From a host directory to a tree. */
  static async withHost(
    host: string,
    tree: Tree,
    { reverse }: Pick<DiffOptions, "reverse">,
  ): Promise<Comparison> {
    try {
      const root = await realpath(host);
      const there: Compared = { tree: await Tree.ofHost(root), reader: new HostReader(root) };
      return new Comparison([there, { tree, reader: tree }], reverse, {
        hasHost: true,
        apartFrom: 0,
      });
    } catch (error) {
      tree.dispose();
      throw error;
    }
  }

  /** What differs, in path order. */
  async *#entries(withinRenamed: boolean): AsyncGenerator<DiffEntry[]> {
    const { hasHost = false, apartFrom } = this.#kinship;
    const options = { withinRenamed, apartFrom };
    for await (const some of this.#before.tree.differences(this.#after.tree, options)) {
      yield hasHost ? some.flatMap(asOnHost) : some;
    }
  }

  /** What was asked for: entries first, then counts, then the patch. */
  async *pieces({ stat, patch, binary }: DiffOptions): AsyncGenerator<DiffPiece> {
    for await (const entries of this.#entries(false)) yield { entries };
    const hasPatch = patch === true || binary === true;
    if (!stat && !hasPatch) return;
    // Both are about files, and the files of renamed directories are files too.
    const pages: DiffEntry[][] = [];
    for await (const page of this.#entries(true)) pages.push(page);
    const [before, after] = [this.#before.reader, this.#after.reader];
    for (const page of stat ? pages : []) yield { stats: await statsOf(page, before, after) };
    if (!hasPatch) return;
    for (const page of pages) {
      const pieces = patchOf(page, before, after, { binary: binary === true });
      for await (const piece of pieces) yield { patch: piece };
    }
  }

  async *patch({ binary = false }: DiffOptions): AsyncGenerator<Buffer> {
    for await (const entries of this.#entries(true)) {
      yield* patchOf(entries, this.#before.reader, this.#after.reader, { binary });
    }
  }

  result(options: DiffOptions): Promise<DiffResult> {
    return gatherDiff(this.pieces(options), options);
  }

  [Symbol.dispose](): void {
    this.#before.tree.dispose();
    this.#after.tree.dispose();
  }
}

/** A workspace has its own home and owners; neither says anything about a directory elsewhere. */
function asOnHost(entry: DiffEntry): DiffEntry[] {
  if (/^\/\.devdev(\/|$)/.test(pathBytes(entry.path).toString("latin1"))) return [];
  const changed = entry.changed.filter((what) => what !== "owner");
  if (entry.kind === "modified" && changed.length === 0) return [];
  return [{ ...entry, changed }];
}
