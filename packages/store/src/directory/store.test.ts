// What only the store over a directory has: files that can be read without it, their lock and
// version, what a crash leaves.

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { check, hexOf, openDirectoryStore } from "../index.js";
import { blockOf, commitTree, kitCodec, sampleEvent, sampleWorkspace } from "../test-kit/index.js";
import { ROWS_FILE } from "./store.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const fileOf = (kind: string, id: Uint8Array) =>
  join(directory, kind, hexOf(id).slice(0, 2), hexOf(id).slice(2));
const rows = () => join(directory, ROWS_FILE);

it("keeps everything over a close, in files named by content", () => {
  const store = openDirectoryStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  const root = commitTree(store, "w", "text", "name");
  store.metadata.history.addEvent(sampleEvent("w"));
  store.close();
  const again = openDirectoryStore(directory);
  expect(again.metadata.snapshots("w").map((row) => row.name)).toEqual(["name"]);
  expect(again.metadata.history.events("w")).toHaveLength(1);
  expect(again.metadata.history.addEvent(sampleEvent("w")).number).toBe(2);
  expect(check(again, kitCodec)).toMatchObject({ ok: true, pages: 2, blocks: 3 });
  expect(existsSync(fileOf("pages", root.id))).toBe(true);
  const file = readFileSync(fileOf("blocks", blockOf("text a").id));
  expect(file.subarray(5).toString()).toBe("text a");
  again.close();
});

it("deletes files only when the transaction is committed", () => {
  const store = openDirectoryStore(directory);
  const block = blockOf("kept");
  store.blocks.put([block]);
  const failing = () =>
    store.transaction(() => {
      store.blocks.delete([block.id]);
      expect(store.blocks.get(block.id)).toBeUndefined();
      expect(existsSync(fileOf("blocks", block.id))).toBe(true);
      store.blocks.put([{ ...block, encoding: 7 }]);
      throw new Error("half-way");
    });
  expect(failing).toThrow("half-way");
  expect(store.blocks.get(block.id)?.encoding).toBe(0);
  store.blocks.delete([block.id]);
  expect(existsSync(fileOf("blocks", block.id))).toBe(false);
  store.close();
});

it("ignores what a crash between two files left", () => {
  const store = openDirectoryStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  commitTree(store, "w", "text", "name");
  store.close();
  const { id } = blockOf("text a");
  writeFileSync(`${fileOf("blocks", id)}.new`, "half of a bl");
  writeFileSync(`${rows()}.new`, "{");
  const again = openDirectoryStore(directory);
  expect(check(again, kitCodec)).toMatchObject({ ok: true, pages: 2, blocks: 3 });
  expect(again.blocks.scan(0, 100).objects).toHaveLength(3);
  again.close();
});

it("is one owner's at a time, and refuses what is newer, damaged or not its own", () => {
  const store = openDirectoryStore(directory);
  expect(() => openDirectoryStore(directory)).toThrow(
    expect.objectContaining({ code: "ERR_LOCKED" }) as Error,
  );
  store.metadata.createWorkspace(sampleWorkspace("w"));
  store.close();
  const written = readFileSync(rows(), "utf8");
  for (const [text, code] of [
    [written.replace('"version":1', '"version":2'), "ERR_STORE_VERSION"],
    [written.slice(0, -9), "ERR_STORE_CORRUPT"],
    ['{"songs":[]}', "ERR_STORE_CORRUPT"],
  ] as const) {
    writeFileSync(rows(), text);
    expect(() => openDirectoryStore(directory)).toThrow(expect.objectContaining({ code }) as Error);
  }
  writeFileSync(rows(), written);
  openDirectoryStore(directory).close();
});

it.skipIf(process.getuid?.() === 0)("says what the host refused", () => {
  const store = openDirectoryStore(directory);
  chmodSync(join(directory, "blocks"), 0o500);
  expect(() => store.blocks.put([blockOf("one")])).toThrow(
    expect.objectContaining({ code: "ERR_STORE_IO" }) as Error,
  );
  chmodSync(join(directory, "blocks"), 0o700);
  store.close();
});
