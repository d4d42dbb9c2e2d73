// Every implementation against the suites that every implementation passes.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createMemoryStore, openDirectoryStore, openSqliteStore } from "./index.js";
import {
  blockStoreConformance,
  eventStoreConformance,
  metadataStoreConformance,
  storeConformance,
} from "./test-kit/index.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

for (const [name, open] of [
  ["memory", createMemoryStore],
  ["SQLite", () => openSqliteStore(directory)],
  ["a directory", () => openDirectoryStore(directory)],
] as const) {
  describe(`the store over ${name}`, () => {
    for (const suite of [
      blockStoreConformance,
      metadataStoreConformance,
      eventStoreConformance,
      storeConformance,
    ]) {
      // Hundreds of commits of some, each with an fsync: the disk may have other things to do.
      it.each(suite(open))("$name", { timeout: 180_000 }, ({ run }) => {
        expect(run).not.toThrow();
      });
    }
  });
}
