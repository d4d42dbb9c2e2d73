// The part of the suite of file systems that is about content, attributes and ranges.

import assert from "node:assert/strict";
import { constants } from "node:fs";
import type { WorkspaceFs } from "./workspace-fs.js";

export type Body = (fs: WorkspaceFs) => Promise<void>;

export async function fails(code: string, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: { code?: string }) => {
    assert.equal(error.code, code);
    return true;
  });
}

export function contentCases(sizes: readonly number[]): Array<[string, Body]> {
  const bytes = (size: number): Buffer =>
    Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251));
  return [
    [
      "content of every size comes back, also after it grew and shrank over a limit",
      async (fs) => {
        for (const size of sizes) {
          await fs.writeFile("/f", bytes(size));
          assert.ok(bytes(size).equals(await fs.readFile("/f")), `${size} bytes`);
          assert.equal((await fs.stat("/f")).size, size);
          await fs.appendFile("/f", "x");
          await fs.truncate("/f", size - 1);
          assert.ok(bytes(size - 1).equals(await fs.readFile("/f")), `${size} bytes less one`);
          await fs.truncate("/f", size + 10);
          const grown = Buffer.concat([bytes(size - 1), Buffer.alloc(11)]);
          assert.ok(grown.equals(await fs.readFile("/f")), `${size} bytes and ten`);
        }
      },
    ],
    [
      "ranges are read and written where they are; holes read as zeros",
      async (fs) => {
        const file = await fs.open("/f", "w+");
        try {
          await file.write(Buffer.from("end"), 0, 3, 200_000);
          assert.equal((await file.stat()).size, 200_003);
          const buffer = Buffer.alloc(10, 1);
          assert.equal((await file.read(buffer, 0, 10, 100_000)).bytesRead, 10);
          assert.ok(buffer.equals(Buffer.alloc(10)));
          assert.equal((await file.read(buffer, 0, 10, 199_998)).bytesRead, 5);
          assert.equal((await file.read(buffer, 0, 10, 200_003)).bytesRead, 0);
          await file.write(Buffer.from("mid"), 0, 3, 65_535);
          assert.equal((await file.read(buffer, 0, 4, 65_535)).bytesRead, 4);
          assert.equal(buffer.toString("latin1", 0, 4), "mid\0");
        } finally {
          await file.close();
        }
      },
    ],
    [
      "a copy is a file of its own",
      async (fs) => {
        await fs.writeFile("/a", bytes(100_000));
        await fs.copyFile("/a", "/b");
        await fs.writeFile("/a", "changed");
        assert.ok(bytes(100_000).equals(await fs.readFile("/b")));
        await fails("ENOENT", fs.copyFile("/none", "/c"));
        await fails("EEXIST", fs.copyFile("/a", "/b", constants.COPYFILE_EXCL));
        assert.ok(bytes(100_000).equals(await fs.readFile("/b")));
      },
    ],
    [
      "modes and times are kept, and leave the type alone",
      async (fs) => {
        await fs.writeFile("/f", "x");
        await fs.chmod("/f", 0o640);
        const stats = await fs.stat("/f");
        assert.equal(stats.mode & 0o7777, 0o640);
        assert.equal(stats.isFile(), true);
        await fs.utimes("/f", 12.5, 34.25);
        const { atimeMs, mtimeMs } = await fs.stat("/f");
        assert.deepEqual([atimeMs, mtimeMs], [12_500, 34_250]);
      },
    ],
  ];
}

export function handleCases(): Array<[string, Body]> {
  return [
    [
      "what is removed while it is open lives on in its handle",
      async (fs) => {
        await fs.writeFile("/f", Buffer.alloc(70_000, 7));
        const file = await fs.open("/f", "r+");
        try {
          await fs.unlink("/f");
          await fs.writeFile("/f", "another");
          await file.write(Buffer.from("own"), 0, 3, 65_536);
          const buffer = Buffer.alloc(3);
          await file.read(buffer, 0, 3, 65_536);
          assert.equal(buffer.toString(), "own");
          assert.equal((await file.stat()).nlink, 0);
          assert.equal(await fs.readFile("/f", "utf8"), "another");
        } finally {
          await file.close();
        }
      },
    ],
    [
      "many writes to one file at once are all there",
      async (fs) => {
        const file = await fs.open("/f", "w+");
        try {
          const writes = Array.from({ length: 200 }, (_, i) =>
            file.write(Buffer.alloc(700, i + 1), 0, 700, i * 700),
          );
          await Promise.all(writes);
          await file.sync();
        } finally {
          await file.close();
        }
        const found = await fs.readFile("/f");
        assert.equal(found.length, 140_000);
        for (let i = 0; i < 200; i++) {
          const piece = found.subarray(i * 700, (i + 1) * 700);
          assert.ok(piece.equals(Buffer.alloc(700, i + 1)), `write ${i}`);
        }
      },
    ],
  ];
}
