// Two trees beside each other, one of which may be a directory of the host: what differs, as
// entries, counts and a patch. Separate from the timeline, which finds the trees.

import { realpath } from "node:fs/promises";

import { type DiffEntry, type DiffOptions, type DiffResult, pathBytes } from "@devdev/protocol";
import { Tree } from "@devdev/vfs";

import { patchOf, statsOf } from "./patch/patch.js";
import { HostReader, type Reader } from "./patch/sides.js";

/** One side: a tree and what its content is read from. */
interface Compared {
  tree: Tree;
  reader: Reader;
}

export class Comparison implements Disposable {
  readonly #before: Compared;
  readonly #after: Compared;
  readonly #hasHost: boolean;

  private constructor(before: Compared, after: Compared, hasHost: boolean) {
    this.#before = before;
    this.#after = after;
    this.#hasHost = hasHost;
  }

  /** Of two trees, which it disposes of in the end. */
  static of(before: Tree, after: Tree, { reverse }: DiffOptions): Comparison {
    const sides = [before, after].map((tree) => ({ tree, reader: tree }));
    const [first, second] = reverse ? sides.toReversed() : sides;
    return new Comparison(first as Compared, second as Compared, false);
  }

  /** From a host directory to a tree. */
  static async withHost(host: string, tree: Tree, options: DiffOptions): Promise<Comparison> {
    try {
      const root = await realpath(host);
      const there: Compared = { tree: await Tree.ofHost(root), reader: new HostReader(root) };
      const sides = [there, { tree, reader: tree }];
      const [first, second] = options.reverse ? sides.toReversed() : sides;
      return new Comparison(first as Compared, second as Compared, true);
    } catch (error) {
      tree.dispose();
      throw error;
    }
  }

  async entries(withinRenamed = false): Promise<DiffEntry[]> {
    const entries = await this.#before.tree.diff(this.#after.tree, { withinRenamed });
    return this.#hasHost ? entries.flatMap(asOnHost) : entries;
  }

  async *patch(options: DiffOptions): AsyncGenerator<Buffer> {
    const entries = await this.entries(true);
    yield* patchOf(entries, this.#before.reader, this.#after.reader, options);
  }

  async result(options: DiffOptions): Promise<DiffResult> {
    const result: DiffResult = { entries: await this.entries() };
    if (options.stat) {
      const entries = await this.entries(true);
      result.stats = await statsOf(entries, this.#before.reader, this.#after.reader);
    }
    if (options.patch || options.binary) {
      const pieces: Buffer[] = [];
      for await (const piece of this.patch(options)) pieces.push(piece);
      const bytes = Buffer.concat(pieces);
      const text = bytes.toString();
      const isText = Buffer.from(text).equals(bytes);
      result.patch = isText ? text : { b64: bytes.toString("base64") };
    }
    return result;
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
