// Inode numbers are given out once in a workspace. A snapshot that becomes the state to come back
// to does not know the numbers that were given out since it was taken: should the process end
// before the next checkpoint, they would come again. So that state is the snapshot's tree under a
// page of its own, which says from where on numbers are new; all else is shared.

import type { MetadataStore } from "@devdev/store";
import { pageId } from "@devdev/vfs";

import { decodePage, encodeTree, unpackPage } from "../salvage/page-codec.js";

export interface Renumbered {
  /** Root of the same tree, of which all numbers given out are below the one asked for. */
  root: Uint8Array;
  /** Bytes that the store did not have. */
  added: number;
}

/** Within a transaction; what it puts is garbage until something refers to it. */
export function numberedFrom(
  metadata: Pick<MetadataStore, "page" | "putPages">,
  root: Uint8Array,
  nextIno: number,
): Renumbered {
  const stored = metadata.page(root);
  const page = stored && decodePage(unpackPage(stored));
  if (page?.kind !== "T" || page.nextIno >= nextIno) return { root, added: 0 };
  const data = encodeTree({ ...page, nextIno });
  const id = pageId(data);
  const added = metadata.putPages([{ id, encoding: 0, rawLength: data.length, data }]);
  return { root: id, added };
}
