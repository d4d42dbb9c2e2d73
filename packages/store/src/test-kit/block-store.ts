// What every block store must do, as named cases over a factory: run them with any test runner.

import assert from "node:assert/strict";

import { hexOf, isMissing } from "../store.js";
import type { Scan, Store } from "../store.js";
import { blockOf, idOf, idsOf } from "./objects.js";

export interface ConformanceCase {
  name: string;
  run: () => void;
}

/** `open` gives a fresh, empty store; the cases close it. */
export type StoreFactory = () => Store;

export function makeCase(
  open: StoreFactory,
  name: string,
  body: (store: Store) => void,
): ConformanceCase {
  const run = (): void => {
    const store = open();
    try {
      body(store);
    } finally {
      store.close();
    }
  };
  return { name, run };
}

/** Everything a scan lists, in pieces of this many. */
export function listAll(scan: (from: number, limit: number) => Scan, limit: number): string[] {
  const ids: string[] = [];
  for (let from: number | undefined = 0; from !== undefined;) {
    const { objects, next }: Scan = scan(from, limit);
    ids.push(...objects.map(({ id }) => hexOf(id)));
    from = next;
  }
  return ids;
}

export function blockStoreConformance(open: StoreFactory): ConformanceCase[] {
  const define = (name: string, body: (store: Store) => void): ConformanceCase =>
    makeCase(open, name, body);
  return [...contentCases(define), ...rangeCases(define), ...listingCases(define)];
}

type Define = (name: string, body: (store: Store) => void) => ConformanceCase;

const [one, two, three] = [blockOf("one"), blockOf("two"), blockOf("three")];

function contentCases(define: Define): ConformanceCase[] {
  return [
    define("gives back what was put, encoding and length included", ({ blocks }) => {
      const packed = { ...one, encoding: 7, rawLength: 4096 };
      assert.equal(blocks.put([packed, two]), one.data.length + two.data.length);
      const found = blocks.get(one.id);
      assert.equal(found?.encoding, 7);
      assert.equal(found.rawLength, 4096);
      assert.deepEqual(Buffer.from(found.data), Buffer.from(one.data));
    }),
    define("knows nothing of an id that was never put", ({ blocks }) => {
      assert.equal(blocks.get(one.id), undefined);
      assert.equal(blocks.delete([one.id]), 0);
    }),
    define("keeps the first bytes of an id and counts only what is new", ({ blocks }) => {
      blocks.put([one]);
      assert.equal(blocks.put([{ ...one, encoding: 9 }, two]), two.data.length);
      assert.equal(blocks.get(one.id)?.encoding, 0);
    }),
    define("copies: the caller may use its buffer again", ({ blocks }) => {
      const buffer = Buffer.from("reused");
      const id = idOf(buffer);
      blocks.put([{ id, encoding: 0, rawLength: 6, data: buffer.subarray(0, 6) }]);
      buffer.fill(0);
      assert.equal(Buffer.from(blocks.get(id)?.data ?? []).toString(), "reused");
    }),
    define("holds an empty block and one of a mebibyte", ({ blocks }) => {
      const large = blockOf("x".repeat(1 << 20));
      blocks.put([blockOf(""), large]);
      assert.equal(blocks.get(blockOf("").id)?.data.length, 0);
      assert.equal(blocks.get(large.id)?.data.length, 1 << 20);
    }),
  ];
}

function rangeCases(define: Define): ConformanceCase[] {
  const digits = blockOf("0123456789");
  return [
    define("gives ranges, short where the data ends", ({ blocks }) => {
      blocks.put([digits, blockOf("")]);
      const range = (offset: number, length: number): string =>
        Buffer.from(blocks.range(digits.id, offset, length) ?? []).toString();
      assert.deepEqual(
        [range(0, 10), range(0, 3), range(4, 2), range(9, 1), range(7, 100)],
        ["0123456789", "012", "45", "9", "789"],
      );
      assert.deepEqual(
        [range(10, 5), range(1000, 5), range(3, 0), range(10, 0)],
        Array(4).fill(""),
      );
      assert.equal(blocks.range(blockOf("").id, 0, 10)?.length, 0);
    }),
    define("gives ranges of what is longer than any piece it is kept in", ({ blocks }) => {
      const bytes = Array.from({ length: 300_000 }, (_, i) => i % 251);
      const large = blockOf(String.fromCodePoint(...bytes.slice(0, 251)).repeat(1000));
      blocks.put([large]);
      for (const offset of [0, 4095, 16_384, 65_535, 199_990]) {
        const found = Buffer.from(blocks.range(large.id, offset, 20_000) ?? []);
        assert.deepEqual(found, Buffer.from(large.data.subarray(offset, offset + 20_000)));
      }
    }),
    define("knows no range of an id that is not there, and refuses nonsense", ({ blocks }) => {
      assert.equal(blocks.range(one.id, 0, 1), undefined);
      blocks.put([one]);
      for (const [offset, length] of [
        [-1, 1],
        [0, -1],
        [0.5, 1],
        [0, Number.NaN],
      ] as const) {
        assert.throws(() => blocks.range(one.id, offset, length), RangeError);
      }
    }),
    define("a range is a copy, as whole blocks are", ({ blocks }) => {
      blocks.put([one]);
      blocks.range(one.id, 0, 3)?.fill(0);
      assert.equal(Buffer.from(blocks.get(one.id)?.data ?? []).toString(), "one");
    }),
  ];
}

function listingCases(define: Define): ConformanceCase[] {
  return [
    define("says which of many ids are missing", ({ blocks }) => {
      const many = Array.from({ length: 21 }, (_, i) => blockOf(`block ${i}`));
      blocks.put(many.filter((_, i) => i % 3 === 0));
      const bitmap = blocks.missing(idsOf(...many));
      assert.equal(bitmap.length, 3);
      for (const i of many.keys()) assert.equal(isMissing(bitmap, i), i % 3 !== 0, `block ${i}`);
      assert.equal(blocks.missing(new Uint8Array(0)).length, 0);
    }),
    define("deletes, and says how many bytes became free", ({ blocks }) => {
      blocks.put([one, two, three]);
      const freed = blocks.delete([one.id, three.id, idOf(Buffer.from("never"))]);
      assert.equal(freed, one.data.length + three.data.length);
      assert.equal(blocks.get(one.id), undefined);
      assert.ok(blocks.get(two.id));
      assert.equal(blocks.put([one]), one.data.length);
    }),
    define("deletes nothing without ids, and the same id once", ({ blocks }) => {
      blocks.put([one, two]);
      assert.equal(blocks.delete([]), 0);
      assert.equal(blocks.delete([one.id, one.id]), one.data.length);
      assert.ok(blocks.get(two.id));
    }),
    define("lists the lengths with and without encoding", ({ blocks }) => {
      blocks.put([{ ...one, encoding: 1, rawLength: 777 }]);
      const [listed] = blocks.scan(0, 10).objects;
      assert.deepEqual([listed?.bytes, listed?.rawLength], [one.data.length, 777]);
    }),
    define("lists everything once, also while what it has listed is deleted", ({ blocks }) => {
      const many = Array.from({ length: 25 }, (_, i) => blockOf(`listed ${i}`));
      blocks.put(many);
      const expected = many.map(({ id }) => hexOf(id)).toSorted();
      assert.deepEqual(listAll((from, limit) => blocks.scan(from, limit), 4).toSorted(), expected);
      const emptying = (from: number, limit: number): Scan => {
        const scan = blocks.scan(from, limit);
        blocks.delete(scan.objects.map(({ id }) => id));
        return scan;
      };
      assert.deepEqual(listAll(emptying, 4).toSorted(), expected);
      assert.deepEqual(blocks.scan(0, 10), { objects: [], next: undefined });
    }),
    define("takes back a put whose source fails half-way", ({ blocks }) => {
      function* failing() {
        yield one;
        throw new Error("no more");
      }
      assert.throws(() => blocks.put(failing()), /no more/);
      assert.equal(blocks.get(one.id), undefined);
    }),
  ];
}
