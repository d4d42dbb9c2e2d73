// What one side of a mount does the other sees when the call returns: SEMANTICS S11 to S13. The
// engine runs in this process, the peer works on the mount.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Vfs } from "@devdev/vfs";
import { base } from "../harness/base.ts";
import { expectTransport } from "../harness/io-uring.ts";
import { Peer } from "../harness/peer.ts";
import { lacks, mounting } from "../harness/suite.ts";

let vfs: Vfs;
let peer: Peer;
const directory = (): string => mkdtempSync(join(base(), "visibility-"));

beforeAll(async () => {
  vfs = Vfs.create();
  const mount = await vfs.mount(join(directory(), "mount"));
  expectTransport(mount);
  peer = await Peer.start(mount.path);
});
afterAll(async () => {
  await peer[Symbol.asyncDispose]();
  await vfs.hostMount?.unmount({ force: true });
  vfs.close();
});

/** The two forms of an API call, as one. */
type Form = "sync" | "promise";
async function api(form: Form, name: string, ...args: unknown[]): Promise<void> {
  const fs = vfs.fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  if (form === "sync") fs[`${name}Sync`]?.(...args);
  else await fs[name]?.(...args);
}

const see = (name: string, ...args: unknown[]): Promise<unknown> => peer.call(name, ...args);
const size = async (path: string): Promise<unknown> =>
  ((await see("stat", path)) as { size?: number }).size;

mounting("S11: what the mount does is visible to the API when the call returns", () => {
  test.skipIf(lacks("python3"))("content, names, attributes", async () => {
    await see("write", "/a", "first");
    expect(vfs.fs.readFileSync("/a", "utf8")).toBe("first");
    await see("append", "/a", " second");
    expect(vfs.fs.statSync("/a").size).toBe(12);
    await see("truncate", "/a", 5);
    expect(vfs.fs.readFileSync("/a", "utf8")).toBe("first");
    await see("mkdir", "/d");
    await see("rename", "/a", "/d/b");
    expect(vfs.fs.readdirSync("/d")).toEqual(["b"]);
    expect(vfs.fs.existsSync("/a")).toBe(false);
    await see("chmod", "/d/b", 0o600);
    await see("utime", "/d/b", 1, 2);
    expect(vfs.fs.statSync("/d/b")).toMatchObject({ mode: 0o100600, mtimeMs: 2000 });
    await see("link", "/d/b", "/c");
    await see("symlink", "d/b", "/l");
    expect(vfs.fs.statSync("/c").nlink).toBe(2);
    expect(vfs.fs.readlinkSync("/l")).toBe("d/b");
    await see("setxattr", "/c", "user.name", "value");
    expect(vfs.fs.getxattrSync("/d/b", "user.name").toString()).toBe("value");
    for (const name of ["/c", "/l", "/d/b"]) await see("unlink", name);
    await see("rmdir", "/d");
    expect(vfs.fs.readdirSync("/")).toEqual([]);
  });
});

mounting("S12: what the API does is visible through the mount when it returns", () => {
  describe.skipIf(lacks("python3")).each<Form>(["sync", "promise"])("%s form", (form) => {
    test("content, under a warm cache and an open descriptor", async () => {
      await api(form, "writeFile", "/f", "0123456789");
      expect(await see("read", "/f")).toBe("0123456789");
      await see("hold", "fd", "/f", "O_RDONLY");
      expect(await see("pread", "fd", 20, 0)).toBe("0123456789");
      await api(form, "writeFile", "/f", "abc", { flag: "r+" });
      expect(await see("pread", "fd", 20, 0)).toBe("abc3456789");
      await api(form, "appendFile", "/f", "longer");
      expect([await size("/f"), await see("pread", "fd", 20, 0)]).toEqual([16, "abc3456789longer"]);
      await api(form, "truncate", "/f", 2);
      expect([await size("/f"), await see("pread", "fd", 20, 0)]).toEqual([2, "ab"]);
      await api(form, "truncate", "/f", 6);
      expect(await see("read", "/f")).toBe("ab\0\0\0\0");
      await api(form, "writeFile", "/other", Buffer.alloc(300_000, "x"));
      await api(form, "copyFile", "/other", "/f");
      expect(await see("pread", "fd", 3, 299_997)).toBe("xxx");
      await see("close", "fd");
      await api(form, "rm", "/f");
      await api(form, "rm", "/other");
    });

    test("pages that are mapped", async () => {
      await api(form, "writeFile", "/m", "m".repeat(10_000));
      await see("map", "map", "/m");
      expect(await see("load", "map", 5000, 4)).toBe("mmmm");
      await api(form, "writeFile", "/m", "n".repeat(10_000), { flag: "r+" });
      expect(await see("load", "map", 5000, 4)).toBe("nnnn");
      await see("munmap", "map");
      await api(form, "unlink", "/m");
    });

    test("names that come, that go, and that were looked up in vain", async () => {
      expect(await see("exists", "/new")).toBe(false);
      expect(await see("ls", "/")).toEqual([]);
      await api(form, "writeFile", "/new", "now");
      expect([await see("exists", "/new"), await see("ls", "/")]).toEqual([true, ["new"]]);
      expect(await see("exists", "/moved")).toBe(false);
      await api(form, "rename", "/new", "/moved");
      expect([await see("exists", "/new"), await see("read", "/moved")]).toEqual([false, "now"]);
      await api(form, "writeFile", "/new", "another");
      expect(await see("read", "/new")).toBe("another");
      await api(form, "rename", "/new", "/moved");
      expect(await see("read", "/moved")).toBe("another");
      await api(form, "unlink", "/moved");
      expect([await see("exists", "/moved"), await see("ls", "/")]).toEqual([false, []]);
      expect(await see("read", "/moved")).toBe("ENOENT");
    });

    test("directories and their links", async () => {
      expect(await see("exists", "/d/e/f")).toBe(false);
      await api(form, "mkdir", "/d/e/f", { recursive: true });
      expect([await see("ls", "/d/e"), await see("exists", "/d/e/f")]).toEqual([["f"], true]);
      expect(await see("stat", "/d/e")).toMatchObject({ nlink: 3 });
      await api(form, "rmdir", "/d/e/f");
      expect(await see("stat", "/d/e")).toMatchObject({ nlink: 2 });
      await api(form, "rename", "/d/e", "/e");
      expect([await see("ls", "/d"), await see("ls", "/")]).toEqual([[], ["d", "e"]]);
      await api(form, "rm", "/d", { recursive: true });
      await api(form, "rmdir", "/e");
      expect([await see("ls", "/"), await see("write", "/d/x", "")]).toEqual([[], "ENOENT"]);
    });

    test("attributes, links and symlinks", async () => {
      await api(form, "writeFile", "/f", "f");
      const before = await see("stat", "/f");
      expect(before).toMatchObject({ mode: 0o100644, nlink: 1 });
      await api(form, "chmod", "/f", 0o744);
      expect(await see("stat", "/f")).toMatchObject({ mode: 0o100744 });
      await api(form, "chown", "/f", 1234, 1234);
      expect(await see("stat", "/f")).toMatchObject({ uid: 1234 });
      await api(form, "utimes", "/f", 10, 20);
      expect(await see("stat", "/f")).toMatchObject({ mtime: 20_000_000_000 });
      await api(form, "link", "/f", "/g");
      expect(await see("stat", "/f")).toMatchObject({ nlink: 2 });
      await api(form, "unlink", "/f");
      expect(await see("stat", "/g")).toMatchObject({ nlink: 1 });
      await api(form, "symlink", "g", "/l");
      expect(await see("readlink", "/l")).toBe("g");
      await api(form, "unlink", "/l");
      await api(form, "symlink", "h", "/l");
      expect(await see("readlink", "/l")).toBe("h");
      expect(await see("getxattr", "/g", "user.a")).toBe("ENODATA");
      await api(form, "setxattr", "/g", "user.a", "1");
      expect(await see("getxattr", "/g", "user.a")).toBe("1");
      await api(form, "rm", "/l");
      await api(form, "rm", "/g");
    });
  });
});

mounting("S13: stores to a shared mapping", () => {
  const LENGTH = 3 * 4096;
  async function mapped(path: string): Promise<Peer> {
    vfs.fs.writeFileSync(path, "-".repeat(LENGTH));
    const other = await Peer.start(vfs.hostMount!.path);
    await other.call("map", "map", path);
    await other.call("store", "map", 5000, "stored");
    return other;
  }
  const stored = (path: string): string => vfs.fs.readFileSync(path, "latin1").slice(5000, 5006);

  test.skipIf(lacks("python3"))("are visible after msync, munmap and exit", async () => {
    await using one = await mapped("/msync");
    await one.call("msync", "map");
    expect(stored("/msync")).toBe("stored");
    await using two = await mapped("/munmap");
    await two.call("munmap", "map");
    expect(stored("/munmap")).toBe("stored");
    const three = await mapped("/exit");
    await three[Symbol.asyncDispose]();
    expect(stored("/exit")).toBe("stored");
  });

  test.skipIf(lacks("python3"))("are in a snapshot after flush and freeze", async () => {
    await using other = await mapped("/flushed");
    const { inodes } = await vfs.flush();
    expect(inodes).toBeGreaterThan(0);
    const content = await vfs.freeze().readFile("/flushed");
    expect(content.toString("latin1", 5000, 5006)).toBe("stored");
    await other.call("store", "map", 0, "later!");
    expect(content.toString("latin1", 0, 6)).toBe("------");
    await vfs.flush();
    expect(vfs.fs.readFileSync("/flushed", "latin1").slice(0, 6)).toBe("later!");
  });
});

mounting("restore", () => {
  test.skipIf(lacks("python3"))(
    "is seen whole by who has looked, opened and mapped before",
    async () => {
      vfs.fs.writeFileSync("/kept", "old content");
      vfs.fs.writeFileSync("/renamed", "by name");
      const tree = vfs.freeze();
      await using other = await Peer.start(vfs.hostMount!.path);
      await other.call("write", "/kept", "new content, longer");
      await other.call("rename", "/renamed", "/elsewhere");
      await other.call("write", "/added", "x");
      await other.call("hold", "fd", "/kept", "O_RDONLY");
      await other.call("hold", "lost", "/added", "O_RDONLY");
      expect(await other.call("read", "/renamed")).toBe("ENOENT");
      await vfs.restore(tree);
      expect(await other.call("read", "/kept")).toBe("old content");
      expect(await other.call("pread", "fd", 50, 0)).toBe("old content");
      expect(await other.call("read", "/renamed")).toBe("by name");
      expect(await other.call("exists", "/elsewhere")).toBe(false);
      expect(await other.call("exists", "/added")).toBe(false);
      expect(await other.call("pread", "lost", 5, 0)).toBe("x");
    },
  );
});
