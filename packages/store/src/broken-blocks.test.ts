// Whether the suite for block stores notices: for each rule a store that breaks it and nothing
// else.
// A rule that no case fails for is not tested.

import { describe, expect, it } from "vitest";

import { createMemoryStore, hexOf } from "./index.js";
import type { Block, BlockStore, StoredObject } from "./store.js";
import { type Breaking, over, unnoticed } from "./test-kit/broken.js";
import { blockStoreConformance } from "./test-kit/index.js";

const EMPTY: StoredObject = { encoding: 0, rawLength: 0, data: new Uint8Array(0) };
const everything = (blocks: BlockStore): Uint8Array[] =>
  blocks.scan(0, 1_000_000).objects.map(({ id }) => id);
const bytesOf = (blocks: BlockStore, id: Uint8Array): number => blocks.get(id)?.data.length ?? 0;

/** Hands out the same bytes again and again, in which the caller may write. */
function lending(blocks: BlockStore): Pick<BlockStore, "get" | "range"> {
  const lent = new Map<string, StoredObject>();
  const get = (id: Uint8Array): StoredObject | undefined => {
    const found = lent.get(hexOf(id)) ?? blocks.get(id);
    if (found) lent.set(hexOf(id), found);
    return found;
  };
  return { get, range: (id, offset, length) => get(id)?.data.subarray(offset, offset + length) };
}

/** Keeps what it was given instead of a copy. */
function borrowing(blocks: BlockStore): Pick<BlockStore, "get" | "put"> {
  const borrowed = new Map<string, Block>();
  return {
    put: (objects) => {
      const all = [...objects];
      for (const each of all) borrowed.set(hexOf(each.id), each);
      return blocks.put(all);
    },
    get: (id) => blocks.get(id) && borrowed.get(hexOf(id)),
  };
}

const ROUND_TRIPS: Breaking<BlockStore> = [
  ["bytes come back", (b) => ({ get: (id) => flipped(b.get(id)) })],
  [
    "with their encoding",
    (b) => ({
      get: (id) => {
        const found = b.get(id);
        return found && { ...found, encoding: 0 };
      },
    }),
  ],
  [
    "and length",
    (b) => ({
      get: (id) => {
        const found = b.get(id);
        return found && { ...found, rawLength: found.data.length };
      },
    }),
  ],
  ["what is not there is undefined", (b) => ({ get: (id) => b.get(id) ?? EMPTY })],
  [
    "what is there stays",
    (b) => ({
      put: (objects) => {
        const all = [...objects];
        b.delete(all.map(({ id }) => id));
        return b.put(all);
      },
    }),
  ],
  [
    "only what is new is counted",
    (b) => ({
      put: (objects) => {
        const all = [...objects];
        b.put(all);
        return all.reduce((sum, { data }) => sum + data.length, 0);
      },
    }),
  ],
  ["what is put is copied", borrowing],
  [
    "empty blocks are blocks",
    (b) => ({ get: (id) => (bytesOf(b, id) > 0 ? b.get(id) : undefined) }),
  ],
  [
    "large blocks are whole",
    (b) => ({ get: (id) => (bytesOf(b, id) > 65_536 ? undefined : b.get(id)) }),
  ],
  [
    "a put is all or nothing",
    (b) => ({
      put: (objects) => {
        let added = 0;
        for (const each of objects) added += b.put([each]);
        return added;
      },
    }),
  ],
];

const RANGES: Breaking<BlockStore> = [
  ["a range begins at its offset", (b) => ({ range: (id, _, length) => b.range(id, 0, length) })],
  [
    "a range ends where the data ends",
    (b) => ({
      range: (id, offset, length) => {
        const found = b.range(id, offset, length);
        return found && Buffer.concat([found, Buffer.alloc(length - found.length)]);
      },
    }),
  ],
  [
    "a range has no more than was asked for",
    (b) => ({ range: (id, offset, length) => b.range(id, offset, length + 1) }),
  ],
  [
    "behind the end there is nothing, which is not missing",
    (b) => ({
      range: (id, offset, length) =>
        offset < bytesOf(b, id) ? b.range(id, offset, length) : undefined,
    }),
  ],
  [
    "a length of 0 is allowed",
    (b) => ({ range: (id, offset, length) => b.range(id, offset, Math.max(1, length)) }),
  ],
  [
    "ranges of what is not there are undefined",
    (b) => ({ range: (...asked) => b.range(...asked) ?? new Uint8Array(0) }),
  ],
  [
    "nonsense is refused",
    (b) => ({
      range: (id, offset, length) =>
        b.range(id, Math.max(0, Math.trunc(offset)), Math.max(0, Math.trunc(length) || 0)),
    }),
  ],
  ["a range is a copy", lending],
  [
    "ranges cross whatever pieces there are",
    (b) => ({
      range: (id, offset, length) =>
        b.range(id, offset, Math.min(length, Math.max(1, 16_384 - (offset % 16_384)))),
    }),
  ],
];

const LISTS: Breaking<BlockStore> = [
  ["missing ones are told", (b) => ({ missing: (ids) => b.missing(ids).fill(0) })],
  ["and only those", (b) => ({ missing: (ids) => b.missing(ids).fill(255) })],
  ["in order", (b) => ({ missing: (ids) => b.missing(ids).toReversed() })],
  [
    "all of them go",
    (b) => ({
      delete: (ids) => {
        const all = [...ids];
        b.delete(all.slice(0, 1));
        return all.reduce((sum, id) => sum + bytesOf(b, id), 0);
      },
    }),
  ],
  ["what became free is told", (b) => ({ delete: (ids) => b.delete(ids) + 1 })],
  [
    "what is not there is no error",
    (b) => ({
      delete: (ids) => {
        const all = [...ids];
        if (all.some((id) => !b.get(id))) throw new Error("not there");
        return b.delete(all);
      },
    }),
  ],
  [
    "no ids are none",
    (b) => ({
      delete: (ids) => {
        const all = [...ids];
        return b.delete(all.length > 0 ? all : everything(b));
      },
    }),
  ],
  [
    "the same id counts once",
    (b) => ({
      delete: (ids) => {
        const all = [...ids];
        const freed = all.reduce((sum, id) => sum + bytesOf(b, id), 0);
        b.delete(all);
        return freed;
      },
    }),
  ],
  ["a listing goes on", (b) => ({ scan: (...from) => ({ ...b.scan(...from), next: undefined }) })],
  [
    "a listing has everything once",
    (b) => ({
      scan: (...from) => {
        const { objects, next } = b.scan(...from);
        return { objects: [...objects, ...objects], next };
      },
    }),
  ],
  [
    "a listing goes on behind what is deleted",
    (b) => ({
      scan: (from, limit) => {
        const { objects } = b.scan(0, 1_000_000);
        const more = objects.length > from + limit;
        return {
          objects: objects.slice(from, from + limit),
          next: more ? from + limit : undefined,
        };
      },
    }),
  ],
  [
    "a listing has both lengths",
    (b) => ({
      scan: (...from) => {
        const { objects, next } = b.scan(...from);
        return { objects: objects.map((each) => ({ ...each, rawLength: each.bytes })), next };
      },
    }),
  ],
];

function flipped(found: StoredObject | undefined): StoredObject | undefined {
  if (!found || found.data.length === 0) return found;
  const data = Buffer.from(found.data);
  data[0] = (data[0] ?? 0) ^ 1;
  return { ...found, data };
}

describe("the suite for block stores notices", () => {
  it("nothing where nothing is broken", () => {
    const store = () => over(createMemoryStore(), {});
    expect(unnoticed(blockStoreConformance(store))).toBe(true);
  });

  it.each([...ROUND_TRIPS, ...RANGES, ...LISTS])("%s", (_, broken) => {
    const store = () => {
      const whole = createMemoryStore();
      return over(whole, { blocks: over(whole.blocks, broken(whole.blocks)) });
    };
    expect(unnoticed(blockStoreConformance(store))).toBe(false);
  });
});
