// Merges between two workspaces that have merged before: files that one of them made are followed
// in the other one, where they have other inode numbers.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let dataDir = "";
let host: WorkspaceHost | undefined;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(async () => {
  await host?.close();
  host = undefined;
  rmSync(dataDir, { recursive: true, force: true });
});

const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** In memory, and in a store. */
const makers: Record<string, () => Promise<Workspace>> = {
  "in memory": () => Workspace.create({ name: "main" }),
  "in a store": async () => {
    host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log });
    return host.create({ name: "main" });
  },
};

describe.each(Object.entries(makers))("S72 %s", (_, make) => {
  it("follows what a fork made, merged and the other side renamed", async () => {
    const main = await make();
    const fork = await (host ? host.fork(main.id, { name: "fork" }) : main.fork("fork"));
    // The same numbers are given out to other files.
    await main.fs.writeFile("/own", "own\n");
    await fork.fs.mkdir("/src");
    await fork.fs.writeFile("/src/made", "1\n2\n3\n");
    await main.merge(fork);
    await main.fs.rename("/src", "/lib");
    await main.fs.rename("/lib/made", "/lib/renamed");
    await fork.fs.writeFile("/src/made", "1\n2\nthree\n");
    await fork.fs.writeFile("/src/more", "more\n");
    // A merge that finds nothing does not forget what it knows.
    expect(await fork.merge(main, { dryRun: true })).toMatchObject({ conflicts: [] });
    const merged = await main.merge(fork);
    expect(merged).toMatchObject({ merged: true, conflicts: [] });
    expect(await main.fs.readdir("/lib")).toEqual(["more", "renamed"]);
    expect(await main.fs.readFile("/lib/renamed", "utf8")).toBe("1\n2\nthree\n");
    expect(main.fs.existsSync("/src")).toBe(false);
    expect(await main.merge(fork)).toMatchObject({ merged: false, entries: [] });
    // And back: what main made of it is what the fork gets.
    await main.fs.writeFile("/lib/renamed", "one\n2\nthree\n");
    const back = await fork.merge(main);
    expect(back.conflicts).toEqual([]);
    expect(await fork.fs.readdir("/")).toEqual(["lib", "own"]);
    expect(await fork.fs.readFile("/lib/renamed", "utf8")).toBe("one\n2\nthree\n");
    if (host) return;
    await main.close();
    await fork.close();
  });

  it("without the state after the merge it is removed and added", async () => {
    const main = await make();
    const fork = await (host ? host.fork(main.id, { name: "fork" }) : main.fork("fork"));
    await fork.fs.writeFile("/made", "1\n");
    await main.merge(fork);
    await main.fs.rename("/made", "/renamed");
    await main.removeSnapshots((await main.snapshots()).map(({ sequence }) => `#${sequence}`));
    await fork.fs.writeFile("/made", "one\n");
    const { conflicts } = await main.merge(fork, { dryRun: true });
    expect(conflicts).toEqual([{ path: "/made", kind: "removed", removedBy: "ours" }]);
    if (host) return;
    await main.close();
    await fork.close();
  });
});
