// Exporting and importing: the same bytes again, and nothing that was tampered with.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Tree, Vfs } from "@devdev/vfs";

const directory = mkdtempSync(join(tmpdir(), "devdev-transfer-"));
afterAll(() => rmSync(directory, { recursive: true }));

function filled(): Vfs {
  const vfs = Vfs.create({ uid: 1, gid: 2 });
  vfs.fs.mkdirSync("/d");
  vfs.fs.writeFileSync("/d/f", "content");
  vfs.fs.linkSync("/d/f", "/hard");
  vfs.fs.symlinkSync("d/f", "/soft");
  vfs.fs.writeFileSync("/large", Buffer.alloc(3_000_000, Math.PI.toString()));
  vfs.fs.truncateSync("/large", 5_000_000);
  vfs.fs.setxattrSync("/d", "user.a", "b");
  vfs.fs.mknodSync("/fifo", 0o010600);
  vfs.fs.writeFileSync(Buffer.from([0x2f, 0xff]), "odd name");
  vfs.fs.writeFileSync("/.devdev/home/h", "home");
  return vfs;
}

it("gives the same bytes again, by file, descriptor and buffer", async () => {
  using vfs = filled();
  using tree = vfs.freeze();
  const meta = { name: "one", message: "of two\nlines", createdNs: -5n };
  const bytes = await tree.toBytes(meta);
  const path = join(directory, "snapshot");
  const progress: number[] = [];
  await tree.exportTo(path, (done) => progress.push(done), meta);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  expect(progress.at(-1)).toBe(bytes.length);
  await expect(tree.exportTo(path)).rejects.toMatchObject({ code: "EEXIST" });

  using fromFile = await Tree.import(path);
  using fromBytes = await Tree.import(bytes);
  expect(fromFile.meta).toEqual(meta);
  for (const back of [fromFile, fromBytes]) {
    expect((await back.toBytes()).equals(bytes)).toBe(true);
    expect(await back.contentId()).toBe(await tree.contentId());
    expect([back.bytes, back.inodes]).toEqual([tree.bytes, tree.inodes]);
  }
  const fd = openSync(join(directory, "again"), "w");
  await fromBytes.exportTo(fd);
  closeSync(fd);
  expect(readFileSync(join(directory, "again")).equals(bytes)).toBe(true);

  using workspace = Vfs.fromTree(fromFile);
  expect(workspace.fs.readFileSync("/soft", "utf8")).toBe("content");
  expect(workspace.fs.statSync("/hard")).toMatchObject({ nlink: 2, uid: 1, gid: 2 });
  expect(workspace.fs.statSync("/large").size).toBe(5_000_000);
});

it("stops reading when it is cancelled, from a file and from bytes", async () => {
  using vfs = Vfs.create();
  vfs.fs.writeFileSync("/large", randomBytes(2 << 20));
  using tree = vfs.freeze();
  const bytes = await tree.toBytes();
  const path = join(directory, "fifo");
  execFileSync("mkfifo", [path]);
  const cancelling = new AbortController();
  const { signal } = cancelling;
  const failure = Tree.import(path, { signal }).catch((error: unknown) => error);
  {
    await using fifo = await open(path, "w");
    await fifo.write(bytes, 0, 1 << 20);
    cancelling.abort();
    // It waits for these; the pipe breaks where it stops.
    await fifo.write(bytes, 1 << 20).catch(() => undefined);
  }
  expect(await failure).toMatchObject({ code: "ECANCELED", syscall: "read" });
  await expect(Tree.import(bytes, { signal })).rejects.toMatchObject({ code: "ECANCELED" });
  expect((await Tree.import(bytes, { signal: new AbortController().signal })).inodes).toBe(3);
});

it("gives everything to one owner when told to", async () => {
  using vfs = filled();
  const bytes = await vfs.freeze().toBytes();
  using workspace = Vfs.fromTree(await Tree.import(bytes, { owner: { uid: 77, gid: 78 } }));
  for (const path of ["/", "/d/f", "/soft", "/.devdev/home"]) {
    expect(workspace.fs.lstatSync(path)).toMatchObject({ uid: 77, gid: 78 });
  }
});

it("refuses what is damaged, cut off, too large, missing or something else", async () => {
  using vfs = filled();
  const bytes = await vfs.freeze().toBytes();
  const refused = async (source: string | Uint8Array, options = {}): Promise<unknown> =>
    Tree.import(source, options).then(
      () => "accepted",
      (error: { code: string }) => error.code,
    );
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 0x10;
    return copy;
  };
  const codes = new Set<unknown>();
  for (let at = 9; at < bytes.length; at += 97) codes.add(await refused(flipped(at)));
  expect(codes.has("accepted")).toBe(false);
  expect([...codes].every((code) => String(code).startsWith("ERR_IMPORT_"))).toBe(true);
  for (const length of [9, 100, bytes.length >> 1, bytes.length - 1]) {
    expect(await refused(bytes.subarray(0, length))).toBe("ERR_IMPORT_TRUNCATED");
  }
  expect(await refused(Buffer.concat([bytes, Buffer.from("x")]))).toMatch(/^ERR_IMPORT_/);
  expect(await refused(Buffer.from("something else"))).toBe("ERR_IMPORT_NOT_A_SNAPSHOT");
  expect(await refused(flipped(8))).toBe("ERR_IMPORT_VERSION");
  expect(await refused(bytes, { maxBytes: 1_000_000 })).toBe("ERR_IMPORT_TOO_LARGE");
  expect(await refused(bytes, { maxInodes: 5 })).toBe("ERR_IMPORT_TOO_LARGE");
  expect(await refused(join(directory, "missing"))).toBe("ENOENT");
  writeFileSync(join(directory, "text"), "text");
  expect(await refused(join(directory, "text"))).toMatch(/^ERR_IMPORT_/);
});
