// What every file system of the WorkspaceFs shape must do: names, links, sizes, ranges. Named cases
// over a factory, so that any implementation can run them with any test runner.

import assert from "node:assert/strict";
import { type Body, contentCases, fails, handleCases } from "./fs-conformance-content.js";
import type { WorkspaceFs } from "./workspace-fs.js";

/** A fresh, empty file system. */
export interface OpenedFs {
  fs: WorkspaceFs;
  close(): Promise<void>;
}

export interface FsCase {
  name: string;
  run(): Promise<void>;
}

export interface FsConformanceOptions {
  /** Sizes around which content is kept differently; default: those of devdev's chunks. */
  sizes?: readonly number[];
}

export function fsConformance(
  open: () => Promise<OpenedFs>,
  { sizes = [1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_577] }: FsConformanceOptions = {},
): FsCase[] {
  const of = (name: string, body: Body): FsCase => ({
    name,
    async run() {
      const { fs, close } = await open();
      try {
        await body(fs);
      } finally {
        await close();
      }
    },
  });
  const all = [
    ...nameCases(),
    ...removalCases(),
    ...linkCases(),
    ...renameCases(),
    ...contentCases(sizes),
    ...handleCases(),
  ];
  return all.map(([name, body]) => of(name, body));
}

function nameCases(): Array<[string, Body]> {
  return [
    [
      "a name is there once, and gone when it was removed",
      async (fs) => {
        await fs.mkdir("/d");
        await fails("EEXIST", fs.mkdir("/d"));
        await fs.writeFile("/d/f", "x", { flag: "wx" });
        await fails("EEXIST", fs.writeFile("/d/f", "y", { flag: "wx" }));
        await fails("EEXIST", fs.mkdir("/d/f"));
        await fails("ENOTEMPTY", fs.rmdir("/d"));
        await fails("ENOTDIR", fs.rmdir("/d/f"));
        await fs.unlink("/d/f");
        await fails("ENOENT", fs.unlink("/d/f"));
        await fs.rmdir("/d");
        await fails("ENOENT", fs.stat("/d"));
      },
    ],
    [
      "a path that does not lead anywhere says why",
      async (fs) => {
        await fs.writeFile("/f", "x");
        await fails("ENOENT", fs.readFile("/none"));
        await fails("ENOENT", fs.writeFile("/none/f", "x"));
        await fails("ENOTDIR", fs.readFile("/f/below"));
        await fails("EISDIR", fs.readFile("/"));
        await fails("ENOTDIR", fs.readdir("/f"));
        await fails("ENAMETOOLONG", fs.writeFile(`/${"n".repeat(256)}`, "x"));
        await fs.writeFile(`/${"n".repeat(255)}`, "x");
      },
    ],
    [
      "paths do not leave the root, and need not be tidy",
      async (fs) => {
        await fs.mkdir("/a/b", { recursive: true });
        await fs.writeFile("/a/../../../a/./b//f", "x");
        assert.equal(await fs.readFile("/a/b/f", "utf8"), "x");
        assert.deepEqual(await fs.readdir("/.."), ["a"]);
      },
    ],
    [
      "listings have every name once, with its kind",
      async (fs) => {
        for (let i = 0; i < 300; i++) await fs.writeFile(`/f${i}`, "");
        await fs.mkdir("/d");
        await fs.symlink("f1", "/l");
        const names = await fs.readdir("/");
        assert.equal(new Set(names).size, 302);
        assert.equal(names.length, 302);
        const typed = await fs.readdir("/", { withFileTypes: true });
        const kind = (name: string): unknown => {
          const entry = typed.find((each) => each.name === name);
          return [entry?.isFile(), entry?.isDirectory(), entry?.isSymbolicLink()];
        };
        assert.deepEqual(
          [kind("f1"), kind("d"), kind("l")],
          [
            [true, false, false],
            [false, true, false],
            [false, false, true],
          ],
        );
      },
    ],
  ];
}

function removalCases(): Array<[string, Body]> {
  return [
    [
      "what is removed is what it is",
      async (fs) => {
        await fs.mkdir("/d/e", { recursive: true });
        await fs.symlink("d", "/l");
        await fails("EISDIR", fs.unlink("/d"));
        await fails("ENOTDIR", fs.rmdir("/l"));
        await assert.rejects(fs.rmdir("/"));
        await fs.rm("/d", { recursive: true });
        await fails("ENOENT", fs.rm("/d"));
        assert.deepEqual(await fs.readdir("/"), ["l"]);
      },
    ],
  ];
}

function linkCases(): Array<[string, Body]> {
  return [
    [
      "symlinks are followed up to 40 times; then it is ELOOP",
      async (fs) => {
        await fs.writeFile("/end", "found");
        await fs.symlink("end", "/l1");
        for (let i = 2; i <= 41; i++) await fs.symlink(`l${i - 1}`, `/l${i}`);
        assert.equal(await fs.readFile("/l40", "utf8"), "found");
        await fails("ELOOP", fs.readFile("/l41"));
        await fails("ELOOP", fs.stat("/l41"));
        assert.equal((await fs.lstat("/l41")).isSymbolicLink(), true);
        await fs.symlink("self", "/self");
        await fails("ELOOP", fs.readFile("/self"));
        await fails("ELOOP", fs.readdir("/self"));
        await fails("ELOOP", fs.access("/self"));
        await fails("ENOENT", fs.access("/none"));
        assert.equal(await fs.realpath("/l40"), "/end");
        await fails("ELOOP", fs.realpath("/self"));
      },
    ],
    [
      "a symlink is what it says, whether or not it leads anywhere",
      async (fs) => {
        await fs.symlink("../none", "/l");
        assert.equal(await fs.readlink("/l"), "../none");
        await fails("ENOENT", fs.stat("/l"));
        await fails("EEXIST", fs.symlink("x", "/l"));
        await fs.writeFile("/f", "x");
        await fails("EINVAL", fs.readlink("/f"));
        await fs.writeFile("/none", "made");
        assert.equal(await fs.readFile("/l", "utf8"), "made");
        await fs.unlink("/l");
        assert.equal(await fs.readFile("/none", "utf8"), "made");
      },
    ],
    [
      "hard links are one file until the last name goes",
      async (fs) => {
        await fs.writeFile("/a", "one");
        await fs.mkdir("/d");
        await fs.link("/a", "/d/b");
        assert.equal((await fs.stat("/a")).nlink, 2);
        assert.equal((await fs.stat("/a")).ino, (await fs.stat("/d/b")).ino);
        await fs.writeFile("/d/b", "two");
        assert.equal(await fs.readFile("/a", "utf8"), "two");
        await fails("EEXIST", fs.link("/a", "/d/b"));
        await fails("EPERM", fs.link("/d", "/e"));
        await fs.unlink("/a");
        assert.equal((await fs.stat("/d/b")).nlink, 1);
        assert.equal(await fs.readFile("/d/b", "utf8"), "two");
      },
    ],
  ];
}

function renameCases(): Array<[string, Body]> {
  return [
    [
      "a rename replaces what is there, if that may be",
      async (fs) => {
        await fs.mkdir("/d/e", { recursive: true });
        await fs.writeFile("/a", "a");
        await fs.writeFile("/b", "b");
        await fs.rename("/a", "/b");
        assert.equal(await fs.readFile("/b", "utf8"), "a");
        await fails("ENOENT", fs.stat("/a"));
        await fails("EISDIR", fs.rename("/b", "/d"));
        await fails("ENOTDIR", fs.rename("/d", "/b"));
        await fails("EINVAL", fs.rename("/d", "/d/e/f"));
        await fs.mkdir("/empty");
        await fs.rename("/d", "/empty");
        assert.deepEqual(await fs.readdir("/empty"), ["e"]);
        await fs.mkdir("/other");
        await fails("ENOTEMPTY", fs.rename("/other", "/empty"));
        await fs.rename("/b", "/b");
        assert.equal(await fs.readFile("/b", "utf8"), "a");
      },
    ],
    [
      "many changes at once leave every name whole",
      async (fs) => {
        await fs.mkdir("/d");
        const work = Array.from({ length: 100 }, async (_, i) => {
          await fs.writeFile(`/d/f${i}`, `${i}`);
          await fs.rename(`/d/f${i}`, `/d/g${i}`);
          if (i % 2 === 0) await fs.unlink(`/d/g${i}`);
        });
        await Promise.all(work);
        const names = await fs.readdir("/d");
        assert.equal(names.length, 50);
        for (const name of names) {
          assert.equal(`g${await fs.readFile(`/d/${name}`, "utf8")}`, name);
        }
      },
    ],
  ];
}
