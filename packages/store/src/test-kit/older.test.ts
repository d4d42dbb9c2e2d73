// A store of each older version becomes one of this version, whole, wherever that was cut off.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { check, openSqliteStore, SCHEMA_VERSION } from "../index.js";
import type { Store } from "../index.js";
import { commitTree, kitCodec, makeOlder, sampleWorkspace } from "./index.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Undefined when that many passes of a step did not take it to the end. */
function openedWithin(passes: number): Store | undefined {
  let left = passes;
  const onStep = (): void => {
    if (--left === 0) throw new Error("cut off");
  };
  try {
    return openSqliteStore(directory, { onStep });
  } catch (error) {
    expect(String(error)).toContain("cut off");
    return undefined;
  }
}

const older = Array.from({ length: SCHEMA_VERSION - 1 }, (_, n) => n + 1);

it.each(older)("a store of version %i becomes one of this", (version) => {
  const store = openSqliteStore(directory);
  store.metadata.createWorkspace(sampleWorkspace("w"));
  for (const name of ["one", "two"]) commitTree(store, "w", name, name);
  const [workspaces, snapshots] = [store.metadata.workspaces(), store.metadata.snapshots("w")];
  store.close();
  makeOlder(directory, version);
  let passes = 1;
  let again = openedWithin(passes);
  while (again === undefined) again = openedWithin(++passes);
  expect(passes).toBeGreaterThan(SCHEMA_VERSION - version);
  expect(again.metadata.workspaces()).toEqual(workspaces);
  expect(again.metadata.snapshots("w")).toEqual(snapshots);
  expect(check(again, kitCodec)).toMatchObject({ ok: true, orphans: { objects: 0 } });
  again.close();
});
