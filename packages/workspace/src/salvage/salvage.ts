// Mends a stored tree of which parts are gone: what is left becomes a tree that the engine takes.
// Names that lead nowhere go, files without part of their content are called NAME.damaged, and what
// has lost its name is found as /lost+found-N. Inode numbers stay.

import { hasContent, LoadedTree, type Source } from "./loaded-tree.js";
import { damagedName, withEntry } from "./names.js";
import {
  encodeEntries,
  encodeLeaf,
  encodeNode,
  encodeTree,
  type Entry,
  type InodeRecord,
  isDirectory,
} from "./page-codec.js";

const [ROOT, HOME] = [1, 2];
const [PER_LEAF, PER_NODE, PER_PAGE, INLINE] = [16, 64, 128, 32];
const DIRECTORY_TYPE = 4;
/** The first number that is given out. */
const FIRST = 16;

/** What became of a tree. */
export interface Salvaged {
  /** Id of its top page. */
  root: Buffer;
  /** Paths of which nothing is left. */
  lost: string[];
  /** Paths of files of which part is left, as they are called now. */
  damaged: string[];
  /** Paths under which things are found that lost their names. */
  found: string[];
}

/** Undefined when nothing can be read of it. */
export function salvage(root: Uint8Array, source: Source): Salvaged | undefined {
  const tree = LoadedTree.load(root, source);
  return tree && new Mending(tree, source).run();
}

/** A tree with nothing in it, for a live state of which nothing is left. */
export function emptyTree(source: Pick<Source, "add">): Buffer {
  const leaf = source.add(encodeLeaf([emptyDirectory(ROOT), emptyDirectory(HOME)]));
  const root = source.add(encodeNode([[0, leaf]]));
  return source.add(encodeTree({ nextIno: FIRST, bytes: 0, inodes: 2, height: 1, root }));
}

class Mending {
  readonly #tree: LoadedTree;
  readonly #source: Source;
  readonly #result: Omit<Salvaged, "root"> = { lost: [], damaged: [], found: [] };
  /** Names of each inode, and the directory of the last one. */
  readonly #names = new Map<number, { count: number; parent: number }>();
  readonly #changed = new Set<number>();

  constructor(tree: LoadedTree, source: Source) {
    this.#tree = tree;
    this.#source = source;
    for (const ino of tree.damagedDirectories) this.#changed.add(ino);
  }

  run(): Salvaged {
    for (const ino of [ROOT, HOME]) {
      if (!this.#tree.inodes.has(ino)) this.#tree.inodes.set(ino, emptyDirectory(ino));
      this.#names.set(ino, { count: 0, parent: ino });
    }
    this.#visit(ROOT, "");
    this.#visit(HOME, "/.devdev/home");
    this.#findNameless();
    for (const ino of this.#tree.inodes.keys()) {
      if (!this.#names.has(ino)) this.#tree.inodes.delete(ino);
    }
    this.#countLinks();
    return { ...this.#result, root: this.#encode() };
  }

  /** Keeps the names that lead somewhere. */
  #visit(directory: number, path: string): void {
    const inode = this.#tree.inodes.get(directory);
    let entries = inode?.entries ?? [];
    for (const entry of inode?.entries ?? []) {
      const at = `${path}/${entry.name.toString()}`;
      const child = this.#tree.inodes.get(entry.ino);
      const whole = child && !this.#tree.damagedFiles.has(entry.ino);
      if (!whole) entries = entries.filter((each) => each !== entry);
      if (!whole) this.#changed.add(directory);
      if (!child || (!whole && !hasContent(child))) {
        this.#result.lost.push(at);
        continue;
      }
      if (!whole) {
        const before = new Set(entries);
        entries = withEntry(entries, damagedName(entry.name), entry.ino, entry.type);
        const name = entries.find((each) => !before.has(each))?.name.toString();
        this.#result.damaged.push(`${path}/${name}`);
      }
      this.#name(entry.ino, directory, child, at);
    }
    if (inode) inode.entries = entries;
  }

  #name(ino: number, directory: number, child: InodeRecord, path: string): void {
    const known = this.#names.get(ino);
    this.#names.set(ino, { count: (known?.count ?? 0) + 1, parent: directory });
    if (isDirectory(child.mode) && !known) this.#visit(ino, path);
  }

  /** Those at the top of what has no name any more get one; what is below them has its own. */
  #findNameless(): void {
    const nameless = [...this.#tree.inodes].filter(([ino]) => !this.#names.has(ino));
    const below = new Set(nameless.flatMap(([, { entries }]) => entries?.map((e) => e.ino) ?? []));
    for (const [ino, inode] of nameless) {
      const nothing = this.#tree.damagedFiles.has(ino) && !hasContent(inode);
      if (below.has(ino) || nothing || this.#names.has(ino)) continue;
      const root = this.#tree.inodes.get(ROOT);
      if (!root) return;
      const name = Buffer.from(`lost+found-${ino}`);
      root.entries = withEntry(root.entries ?? [], name, ino, inode.mode >> 12);
      this.#changed.add(ROOT);
      this.#result.found.push(`/${name.toString()}`);
      this.#name(ino, ROOT, inode, `/${name.toString()}`);
    }
  }

  #countLinks(): void {
    const directories = new Map<number, number>();
    for (const inode of this.#tree.inodes.values()) {
      for (const { ino, type } of inode.entries ?? []) {
        if (type !== DIRECTORY_TYPE) continue;
        const { parent } = this.#names.get(ino) ?? { parent: 0 };
        directories.set(parent, (directories.get(parent) ?? 0) + 1);
      }
    }
    for (const [ino, inode] of this.#tree.inodes) {
      const { count, parent } = this.#names.get(ino) ?? { count: 0, parent: 0 };
      const isDir = isDirectory(inode.mode);
      const nlink = isDir ? 2 + (directories.get(ino) ?? 0) : count;
      const moved = isDir ? ino > HOME : nlink !== inode.nlink;
      inode.nlink = nlink;
      if (moved || !this.#tree.inodes.has(inode.parent)) inode.parent = parent;
    }
  }

  #encode(): Buffer {
    for (const ino of this.#changed) this.#encodeDirectory(this.#tree.inodes.get(ino));
    const { top, inodes } = this.#tree;
    const leaves = Map.groupBy([...inodes], ([ino]) => Math.floor(ino / PER_LEAF));
    let level = new Map<number, Buffer>();
    for (const [index, list] of leaves) {
      const sorted = list.toSorted((a, b) => a[0] - b[0]).map(([, inode]) => inode);
      level.set(index, this.#source.add(encodeLeaf(sorted)));
    }
    for (let height = 0; height < top.height; height++) {
      const groups = Map.groupBy([...level], ([index]) => Math.floor(index / PER_NODE));
      level = new Map(
        [...groups].map(([index, children]) => {
          const slots = children.map(([at, id]): [number, Buffer] => [at % PER_NODE, id]);
          const node = encodeNode(slots.toSorted((a, b) => a[0] - b[0]));
          return [index, this.#source.add(node)];
        }),
      );
    }
    const root = level.get(0) ?? Buffer.alloc(32);
    return this.#source.add(encodeTree({ ...top, inodes: inodes.size, root }));
  }

  #encodeDirectory(inode: InodeRecord | undefined): void {
    if (!inode?.entries) return;
    delete inode.entryPages;
    const { entries } = inode;
    if (entries.length <= INLINE) return;
    const pages: Entry[][] = [];
    for (let at = 0; at < entries.length; at += PER_PAGE)
      pages.push(entries.slice(at, at + PER_PAGE));
    inode.entryPages = pages.map((page) => this.#source.add(encodeEntries(page)));
  }
}

/** A directory of the user who mends the store, in place of a root that is gone. */
function emptyDirectory(ino: number): InodeRecord {
  const mode = 0o040755;
  // Mode, owner and group, then the time 0: as docs/FORMAT.md has it.
  const owner = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const rest = Buffer.concat([mode, ...owner, 0, 0].map((value) => varint(value)));
  const flags = 2 | 4 | 8;
  return { slot: ino % PER_LEAF, flags, mode, rest, nlink: 2, parent: ino, size: 0, entries: [] };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  return Buffer.from([...bytes, left]);
}
