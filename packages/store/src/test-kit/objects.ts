// Objects for the tests of a store: blocks and pages with SHA-256 ids, and the codec that
// understands them.
// A page of the kit is JSON, { pages, blocks } in hex, so no engine is needed.

import { createHash } from "node:crypto";

import { hexOf } from "../store.js";
import type { Block, ObjectCodec, Page } from "../store.js";

export function idOf(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

export function blockOf(content: string): Block {
  const data = Buffer.from(content);
  return { id: idOf(data), encoding: 0, rawLength: data.length, data };
}

export function pageOf(pages: readonly Page[], blocks: readonly Block[]): Page {
  const refs = {
    pages: pages.map((page) => hexOf(page.id)),
    blocks: blocks.map((block) => hexOf(block.id)),
  };
  const data = Buffer.from(JSON.stringify(refs));
  return { id: idOf(data), encoding: 0, rawLength: data.length, data };
}

export function idsOf(...objects: ReadonlyArray<{ id: Uint8Array }>): Uint8Array {
  return Buffer.concat(objects.map(({ id }) => id));
}

export const kitCodec: ObjectCodec = {
  references(page) {
    const refs = JSON.parse(Buffer.from(page.data).toString()) as {
      pages: string[];
      blocks: string[];
    };
    return {
      pages: Buffer.from(refs.pages.join(""), "hex"),
      blocks: Buffer.from(refs.blocks.join(""), "hex"),
    };
  },
  verifyPage: (id, page) => hexOf(idOf(page.data)) === hexOf(id),
  verifyBlock: (id, block) => hexOf(idOf(block.data)) === hexOf(id),
};
