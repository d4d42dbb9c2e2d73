// Directories that are made, and those that cannot be.

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { makeDirectory } from "./index.js";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "devdev-store-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

it("makes what is missing, for its owner alone", () => {
  const path = join(directory, "a", "b", "c");
  makeDirectory(path);
  makeDirectory(path);
  for (const each of [path, join(directory, "a")]) {
    expect((statSync(each).mode & 0o777).toString(8)).toBe("700");
  }
});

it("says which directory cannot be made, and why", () => {
  writeFileSync(join(directory, "file"), "");
  const path = join(directory, "file", "below");
  expect(() => makeDirectory(join(path, "more"))).toThrow(
    expect.objectContaining({
      code: "ENOTDIR",
      message: `cannot make the directory ${path}: not a directory`,
    }) as Error,
  );
});

it("takes nothing else for a directory", () => {
  const path = join(directory, "file");
  writeFileSync(path, "");
  expect(() => makeDirectory(path)).toThrow(`cannot make the directory ${path}: file already`);
});

it.skipIf(process.platform !== "linux")("ends below /proc, where nothing can be made", () => {
  // Node's recursive mkdir never does: ENOENT, although the parent is there.
  expect(() => makeDirectory("/proc/devdev-test/run")).toThrow(
    /^cannot make the directory \/proc\/devdev-test: (no such file|permission denied)/,
  );
});
