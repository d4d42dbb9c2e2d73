// Which workspace a command is for.

import type { WorkspaceSummary } from "@devdev/protocol";
import { describe, expect, test } from "vitest";
import { inside, workingDirectory } from "./exec-stream.js";
import { selectWorkspace } from "./select.js";

function summary(name: string, mountPoint?: string, lastMountPoint?: string): WorkspaceSummary {
  return {
    id: `id-${name}`,
    name,
    ephemeral: false,
    durable: false,
    writeback: false,
    autosnapshot: "off",
    createdAt: 0,
    snapshots: 0,
    ...(mountPoint !== undefined && { mountPoint }),
    ...(lastMountPoint !== undefined && { lastMountPoint }),
  };
}

function select(all: WorkspaceSummary[], name?: string, cwd?: string): Promise<string> {
  return selectWorkspace({ list: () => Promise.resolve(all) }, name, cwd).then(
    (found) => found.name,
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  );
}

describe("the workspace", () => {
  const two = [summary("a", "/w/a"), summary("ab", "/w/ab")];

  test("that is named, by name, id or path", async () => {
    expect(await select(two, "ab")).toBe("ab");
    expect(await select(two, "id-a")).toBe("a");
    expect(await select(two, "/w/ab/src")).toBe("ab");
    expect(await select(two, "abc")).toBe("ERR_NO_WORKSPACE: there is no workspace abc");
    expect(await select(two, "/w/abc")).toContain("ERR_NO_WORKSPACE");
  });

  test("around the current directory", async () => {
    expect(await select(two, undefined, "/w/a/deep/er")).toBe("a");
    expect(await select(two, undefined, "/w/ab")).toBe("ab");
  });

  test("that was mounted here, when nothing is mounted here now", async () => {
    expect(await select([summary("a", undefined, "/w"), summary("b", "/w")], undefined, "/w")).toBe(
      "b",
    );
    expect(await select([summary("a", undefined, "/w"), summary("b", "/x")], undefined, "/w")).toBe(
      "a",
    );
  });

  test("that is the only one, or the only mounted one", async () => {
    expect(await select([summary("a")], undefined, "/elsewhere")).toBe("a");
    expect(await select([summary("a"), summary("b", "/b")], undefined, "/elsewhere")).toBe("b");
  });

  test("else a sentence that lists them", async () => {
    expect(await select(two, undefined, "/elsewhere")).toBe(
      "ERR_AMBIGUOUS_WORKSPACE: there are 2 workspaces: a (/w/a), ab (/w/ab)",
    );
    expect(await select([], undefined, "/elsewhere")).toBe(
      "ERR_NO_WORKSPACE: there is no workspace",
    );
  });
});

describe("the working directory of a command", () => {
  const workspace = { mountPoint: "/w/a" } as Parameters<typeof workingDirectory>[0];

  test("is where the caller is, inside the mount, else the root", () => {
    expect(workingDirectory(workspace, undefined, "/w/a/src")).toBe("/src");
    expect(workingDirectory(workspace, undefined, "/w/ab")).toBe("/");
    expect(inside(workspace, "/w/a")).toBe("/");
  });

  test("is what --cwd says: relative to the caller, inside the workspace, or on the host", () => {
    expect(workingDirectory(workspace, "lib", "/w/a/src")).toBe("/src/lib");
    expect(workingDirectory(workspace, "..", "/w/a/src")).toBe("/");
    expect(workingDirectory(workspace, "/lib", "/w/a/src")).toBe("/lib");
    expect(workingDirectory(workspace, "/w/a/lib", undefined)).toBe("/lib");
    expect(() => workingDirectory(workspace, "", undefined)).toThrow("empty");
  });
});
