// Lists of snapshots that are read once, and what makes them be read again.

import type { SnapshotRow } from "@devdev/store";
import { expect, it } from "vitest";

import { SnapshotLists } from "./snapshot-lists.js";

function row(sequence: number, workspace = "w"): SnapshotRow {
  return {
    workspace,
    sequence,
    contentId: "0".repeat(64),
    root: new Uint8Array(32),
    automatic: false,
    createdAt: 0,
    bytes: 0,
    inodes: 2,
  };
}

const sequences = (rows: SnapshotRow[]): number[] => rows.map(({ sequence }) => sequence);

it("a list is read once, and again when it was forgotten", async () => {
  let reads = 0;
  const lists = new SnapshotLists(async () => [row(++reads)]);
  expect(sequences(await lists.of("w"))).toEqual([1]);
  lists.add(row(7));
  lists.add(row(8, "other"));
  expect(sequences(await lists.of("w"))).toEqual([1, 7]);
  expect(reads).toBe(1);
  lists.forget("w");
  expect(sequences(await lists.of("w"))).toEqual([2]);
});

it("of a workspace that was made just now nothing is read", async () => {
  const lists = new SnapshotLists(() => Promise.reject(new Error("it was read")));
  lists.begin("w");
  lists.add(row(1));
  expect(sequences(await lists.of("w"))).toEqual([1]);
});

it("a list that was read while it changed is not kept", async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  let stored = [row(1)];
  const lists = new SnapshotLists(async () => {
    const seen = stored;
    await go;
    return seen;
  });
  const early = lists.of("w");
  stored = [row(1), row(2)];
  lists.add(row(2));
  resolve();
  await early;
  expect(sequences(await lists.of("w"))).toEqual([1, 2]);
});

it("who changes what was given changes nothing", async () => {
  const lists = new SnapshotLists(async () => [row(1)]);
  (await lists.of("w")).pop();
  (await lists.of("w")).pop();
  expect(sequences(await lists.of("w"))).toEqual([1]);
});
