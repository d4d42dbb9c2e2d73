// A stored tree of which pages or blocks are gone, as far as it can be read.

import {
  type ChunkRecord,
  decodePage,
  encodeSegment,
  type InodeRecord,
  isDirectory,
  type Page,
  type TreePage,
} from "./page-codec.js";

const PER_LEAF = 16;
const PER_NODE = 64;

export interface Source {
  /** The bytes of a page; undefined when they are gone, or are not what the id says. */
  page(id: Uint8Array): Buffer | undefined;
  isGone(block: Uint8Array): boolean;
  /** Takes a page that is new. */
  add(page: Buffer): Buffer;
}

export class LoadedTree {
  readonly top: TreePage;
  readonly inodes = new Map<number, InodeRecord>();
  /** Files of which something is gone; what is left of them are holes instead. */
  readonly damagedFiles = new Set<number>();
  /** Directories that have lost names. */
  readonly damagedDirectories = new Set<number>();
  /** Whether records of inodes are gone. */
  lostInodes = false;
  readonly #source: Source;

  private constructor(top: TreePage, source: Source) {
    this.top = top;
    this.#source = source;
    this.#node(top.root, top.height - 1, 0);
  }

  /** Undefined when not even the page at its top is there. */
  static load(root: Uint8Array, source: Source): LoadedTree | undefined {
    const top = pageOf(source, root, "T");
    return top && new LoadedTree(top, source);
  }

  #node(id: Buffer, level: number, index: number): void {
    const page = pageOf(this.#source, id, "N");
    if (!page) {
      this.lostInodes = true;
      return;
    }
    for (const [slot, child] of page.children) {
      const at = index * PER_NODE + slot;
      if (level === 0) this.#leaf(child, at);
      else this.#node(child, level - 1, at);
    }
  }

  #leaf(id: Buffer, index: number): void {
    const page = pageOf(this.#source, id, "L");
    if (!page) {
      this.lostInodes = true;
      return;
    }
    for (const inode of page.inodes) {
      const ino = index * PER_LEAF + inode.slot;
      this.inodes.set(ino, inode);
      if (isDirectory(inode.mode)) this.#directory(ino, inode);
      else this.#file(ino, inode);
    }
  }

  #directory(ino: number, inode: InodeRecord): void {
    if (!inode.entryPages) return;
    const pages = inode.entryPages.map((id) => pageOf(this.#source, id, "D"));
    if (pages.some((page) => !page)) this.damagedDirectories.add(ino);
    inode.entries = pages.flatMap((page) => page?.entries ?? []);
  }

  #file(ino: number, inode: InodeRecord): void {
    if (inode.chunks) {
      const list = this.#there(inode.chunks.list);
      if (list.length === inode.chunks.list.length) return;
      this.damagedFiles.add(ino);
      inode.chunks = { ...inode.chunks, list };
    }
    if (!inode.segments) return;
    const left = inode.segments.flatMap((segment) => {
      const page = pageOf(this.#source, segment.page, "S");
      const chunks = this.#there(page?.chunks ?? []);
      if (page && chunks.length === page.chunks.length) return [segment];
      this.damagedFiles.add(ino);
      if (chunks.length === 0) return [];
      return [{ ...segment, page: this.#source.add(encodeSegment(chunks)) }];
    });
    inode.segments = left;
    if (left.length > 0) return;
    delete inode.segments;
    inode.chunks = { segment: 0, list: [] };
  }

  #there(chunks: ChunkRecord[]): ChunkRecord[] {
    return chunks.filter(({ hash }) => !this.#source.isGone(hash));
  }
}

function pageOf<K extends Page["kind"]>(
  source: Source,
  id: Uint8Array,
  kind: K,
): Extract<Page, { kind: K }> | undefined {
  const bytes = source.page(id);
  const page = bytes && decodePage(bytes);
  return page?.kind === kind ? (page as Extract<Page, { kind: K }>) : undefined;
}

/** Whether anything of its content is left. */
export function hasContent({ chunks, segments }: InodeRecord): boolean {
  return (segments?.length ?? 0) > 0 || (chunks?.list.length ?? 0) > 0;
}
