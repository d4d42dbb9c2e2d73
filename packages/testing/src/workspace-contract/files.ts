// The contract of `fs`: promise and sync forms, open files, names that are not UTF-8, limits.

import assert from "node:assert/strict";
import { type ContractCase, errorFields, onWorkspace, rejection } from "./contract.js";

const ODD = Buffer.from([0x2f, 0xff, 0xfe, 0x78]);

export const fileCases: ContractCase[] = [
  onWorkspace("promise forms do what fs.promises does", async ({ fs }) => {
    await fs.mkdir("/d/e", { recursive: true });
    await fs.writeFile("/d/f", "one\n");
    await fs.appendFile("/d/f", Buffer.from("two\n"));
    assert.equal(await fs.readFile("/d/f", "utf8"), "one\ntwo\n");
    assert.deepEqual(await fs.readFile("/d/f"), Buffer.from("one\ntwo\n"));
    await fs.rename("/d/f", "/d/g");
    await fs.link("/d/g", "/hard");
    await fs.symlink("d/g", "/soft");
    assert.equal(await fs.readlink("/soft"), "d/g");
    assert.equal(await fs.realpath("/soft"), "/d/g");
    await fs.copyFile("/soft", "/copy");
    await fs.truncate("/copy", 3);
    assert.equal(await fs.readFile("/copy", { encoding: "latin1" }), "one");
    await fs.cp("/d", "/d2", { recursive: true });
    assert.deepEqual(await fs.readdir("/"), ["copy", "d", "d2", "hard", "soft"]);
    await fs.rm("/d2", { recursive: true });
    assert.equal(fs.existsSync("/d2"), false);
    assert.equal((await fs.mkdtemp("/tmp-")).length, "/tmp-".length + 6);
    assert.equal(typeof (await fs.statfs("/")).bsize, "number");
  }),

  onWorkspace("sync forms do what node:fs does", async ({ fs }) => {
    fs.mkdirSync("/d");
    fs.writeFileSync("/d/f", new Uint8Array([1, 2, 3]));
    assert.deepEqual(fs.readFileSync("/d/f"), Buffer.from([1, 2, 3]));
    assert.equal(fs.readFileSync("/d/f", "hex"), "010203");
    assert.equal(fs.existsSync("/d/f"), true);
    assert.equal(fs.existsSync("/d/g"), false);
    assert.equal(fs.statSync("/d/f").size, 3);
    assert.equal(fs.statSync("/d/f", { bigint: true }).size, 3n);
    assert.equal(fs.statSync("/none", { throwIfNoEntry: false } as object), undefined);
    fs.chmodSync("/d/f", 0o640);
    assert.equal(fs.lstatSync("/d/f").mode & 0o777, 0o640);
    fs.utimesSync("/d/f", new Date(5000), 7.5);
    const { atimeMs, mtimeMs, mtime } = fs.statSync("/d/f");
    assert.deepEqual([atimeMs, mtimeMs, mtime], [5000, 7500, new Date(7500)]);
    fs.unlinkSync("/d/f");
    fs.rmdirSync("/d");
    assert.deepEqual(fs.readdirSync("/"), []);
  }),

  onWorkspace("stats and directory entries answer Node's questions", async ({ fs }) => {
    await fs.mkdir("/dir");
    await fs.writeFile("/file", "");
    await fs.symlink("file", "/link");
    await fs.mknod("/fifo", 0o010600);
    const typed = { withFileTypes: true } as const;
    for (const found of [await fs.readdir("/", typed), fs.readdirSync("/", typed)]) {
      const answers = found.map((e) => [e.name, e.isFile(), e.isDirectory(), e.isSymbolicLink()]);
      assert.deepEqual(answers, [
        ["dir", false, true, false],
        ["fifo", false, false, false],
        ["file", true, false, false],
        ["link", false, false, true],
      ]);
      assert.deepEqual(
        found.map((e) => [e.parentPath, e.isFIFO(), e.isSocket()]),
        [false, true, false, false].map((fifo) => ["/", fifo, false]),
      );
    }
    const stats = await fs.stat("/link");
    assert.equal(stats.isFile(), true);
    assert.equal((await fs.lstat("/link")).isSymbolicLink(), true);
    assert.ok(stats.mtime instanceof Date && stats.birthtime instanceof Date);
    assert.equal(stats.mtime.getTime(), Math.round(stats.mtimeMs));
    const exact = await fs.stat("/file", { bigint: true });
    assert.equal(typeof exact.mtimeNs, "bigint");
    const deep = await fs.readdir("/", { recursive: true });
    assert.deepEqual(deep, ["dir", "fifo", "file", "link"]);
  }),

  onWorkspace("errors have Node's fields, in both forms", async ({ fs }) => {
    const expected = {
      kind: "Error",
      name: "Error",
      message: "ENOENT: no such file or directory, open '/none/x'",
      code: "ENOENT",
      errno: -2,
      syscall: "open",
      path: "/none/x",
    };
    assert.deepEqual(errorFields(await rejection(fs.readFile("/none/x"))), expected);
    assert.throws(
      () => fs.readFileSync("/none/x"),
      (error) => (assert.deepEqual(errorFields(error), expected), true),
    );
    const renamed = await rejection(fs.rename("/a", "/b"));
    assert.deepEqual(
      [renamed["syscall"], renamed["path"], renamed["dest"]],
      ["rename", "/a", "/b"],
    );
    const wrong = await rejection(fs.readFile(5 as unknown as string));
    assert.ok(wrong instanceof TypeError);
    assert.equal(wrong["code"], "ERR_INVALID_ARG_TYPE");
  }),

  onWorkspace("names that are not UTF-8 are Buffers", async ({ fs }) => {
    await fs.writeFile(ODD, "odd");
    assert.deepEqual(await fs.readdir("/", "buffer"), [ODD.subarray(1)]);
    assert.deepEqual(fs.readdirSync("/", { encoding: "buffer" }), [ODD.subarray(1)]);
    assert.equal(fs.readFileSync(ODD, "utf8"), "odd");
    await fs.symlink(ODD, "/link");
    assert.deepEqual(await fs.readlink("/link", "buffer"), ODD);
    assert.equal((await fs.stat("/link")).size, 3);
    const missing = await rejection(fs.stat(Buffer.from([0x2f, 0xff])));
    assert.equal(missing["path"], "/\ufffd");
    await fs.unlink(ODD);
  }),

  onWorkspace("contents of any size and byte arrive whole", async ({ fs }) => {
    const all = Buffer.alloc(
      5 * 2 ** 20 + 3,
      Buffer.from(Array.from({ length: 256 }, (_, n) => n)),
    );
    await fs.writeFile("/big", all);
    assert.ok((await fs.readFile("/big")).equals(all));
    assert.ok(fs.readFileSync("/big").equals(all));
    fs.writeFileSync("/big2", all);
    assert.equal((await fs.stat("/big2")).size, all.length);
    const many = Array.from({ length: 200 }, (_, n) => fs.writeFile(`/n${n}`, `${n}`));
    await Promise.all(many);
    const read = await Promise.all(many.map((_, n) => fs.readFile(`/n${n}`, "utf8")));
    assert.deepEqual(
      read,
      many.map((_, n) => `${n}`),
    );
  }),

  onWorkspace("what is handed to a call may be changed at once", async ({ fs }) => {
    const bytes = Buffer.from("before");
    for (const path of ["/a", "/b"]) {
      const written = fs.writeFile(path, bytes.fill("x"));
      bytes.fill("y");
      await written;
      assert.equal(await fs.readFile(path, "utf8"), "xxxxxx");
    }
    await using file = await fs.open("/c", "w");
    const written = file.write(bytes);
    bytes.fill("z");
    await written;
    assert.equal(fs.readFileSync("/c", "utf8"), "yyyyyy");
  }),

  onWorkspace("an open file reads, writes and keeps its position", async ({ fs }) => {
    const file = await fs.open("/f", "w+", 0o600);
    assert.deepEqual(await file.write("hello world"), { bytesWritten: 11, buffer: "hello world" });
    const bytes = Buffer.from("XYZ");
    assert.equal((await file.write(bytes, 1, 2, 0)).bytesWritten, 2);
    const buffer = Buffer.alloc(8, ".");
    assert.equal((await file.read(buffer, 2, 5, 0)).bytesRead, 5);
    assert.equal(buffer.toString(), "..YZllo.");
    assert.equal((await file.read(Buffer.alloc(4), 0, 4, null)).bytesRead, 0);
    assert.equal((await file.stat()).size, 11);
    await file.truncate(5);
    await file.chmod(0o644);
    await file.utimes(1, 2);
    await file.sync();
    assert.equal((await file.stat({ bigint: true })).mtimeMs, 2000n);
    await fs.unlink("/f");
    assert.equal((await file.stat()).nlink, 0);
    const outside = await rejection(file.read(Buffer.alloc(4), 0, 5, 0));
    assert.deepEqual([outside instanceof RangeError, outside["code"]], [true, "ERR_OUT_OF_RANGE"]);
    await file.close();
    await file.close();
    const late = errorFields(await rejection(file.stat()));
    const message = "EBADF: bad file descriptor, fstat";
    assert.deepEqual(late, {
      kind: "Error",
      name: "Error",
      message,
      code: "EBADF",
      errno: -9,
      syscall: "fstat",
    });
    await using again = await fs.open("/g", "a+");
    await again.writeFile("ab");
    await again.appendFile("c");
    assert.equal(await fs.readFile("/g", "utf8"), "abc");
  }),

  onWorkspace("extended attributes", async ({ fs }) => {
    await fs.writeFile("/f", "");
    await fs.setxattr("/f", "user.a", Buffer.from([0, 255]));
    assert.deepEqual(fs.getxattrSync("/f", "user.a"), Buffer.from([0, 255]));
    assert.deepEqual(await fs.listxattr("/f"), ["user.a"]);
    await fs.removexattr("/f", "user.a");
    assert.equal((await rejection(fs.getxattr("/f", "user.a")))["code"], "ENODATA");
  }),

  onWorkspace(
    "limits are kept and usage tells of them",
    async (workspace) => {
      const { fs } = workspace;
      await fs.writeFile("/a", Buffer.alloc(500_000));
      const full = await rejection(fs.writeFile("/b", Buffer.alloc(800_000)));
      assert.equal(full["code"], "ENOSPC");
      const usage = await workspace.usage();
      assert.deepEqual([usage.maxBytes, usage.maxInodes], [2 ** 20, 10]);
      assert.ok(usage.bytes >= 500_000 && usage.inodes >= 2);
      const names = Array.from({ length: 12 }, (_, n) => fs.writeFile(`/n${n}`, ""));
      const failed = (await Promise.allSettled(names)).filter((r) => r.status === "rejected");
      assert.ok(failed.length > 0);
    },
    { maxBytes: 2 ** 20, maxInodes: 10 },
  ),
];
