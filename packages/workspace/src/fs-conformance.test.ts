// The file systems of workspaces in memory and in a store against the suite that every WorkspaceFs
// passes; in a store also after a checkpoint and a start, where content comes from the store.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { fsConformance, type OpenedFs } from "@devdev/protocol/test/fs-conformance";
import { Workspace } from "@devdev/workspace";
import { describe, expect, it } from "vitest";

async function inMemory(): Promise<OpenedFs> {
  const workspace = await Workspace.create();
  return { fs: workspace.fs, close: () => workspace.close() };
}

async function inStore(): Promise<OpenedFs> {
  const dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  const workspace = await Workspace.create({ dataDir, name: "w" });
  const close = async (): Promise<void> => {
    await workspace.close();
    rmSync(dataDir, { recursive: true });
  };
  return { fs: workspace.fs, close };
}

describe.each([
  ["memory", inMemory],
  ["a store", inStore],
])("a file system in %s", (_, open) => {
  it.each(fsConformance(open))("$name", async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});
