// Open files: the same script on Node's FileHandle and on ours must see the same.

import { mkdtempSync, rmSync, promises } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { WorkspaceFileHandle } from "@devdev/protocol";
import { Vfs } from "@devdev/vfs";

const host = mkdtempSync(join(tmpdir(), "devdev-handle-"));
afterAll(() => rmSync(host, { recursive: true }));

type Open = (name: string, flags?: string | number, mode?: number) => Promise<WorkspaceFileHandle>;
function openers(): [Open, Open, Vfs] {
  const vfs = Vfs.create();
  const node = (name: string, ...rest: [string?, number?]) =>
    promises.open(join(host, name), ...rest) as unknown as Promise<WorkspaceFileHandle>;
  return [node as Open, (name, ...rest) => vfs.fs.open(`/${name}`, ...rest), vfs];
}

async function code(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "ok",
    (error: { code: string; syscall?: string }) => [error.code, error.syscall],
  );
}

async function script(open: Open, name: string): Promise<unknown[]> {
  const seen: unknown[] = [];
  const file = await open(name, "w+", 0o640);
  seen.push((await file.write("hello ")).bytesWritten, (await file.write("world")).bytesWritten);
  seen.push((await file.write(Buffer.from("HELLO"), 1, 3, 0)).bytesWritten);
  seen.push((await file.write("!", 20)).bytesWritten);
  const buffer = Buffer.alloc(30, ".");
  seen.push((await file.read(buffer, 2, 9, 0)).bytesRead, buffer.toString());
  seen.push((await file.read(buffer, 0, 4, null)).bytesRead);
  seen.push((await file.read(buffer, 0, 30, 100)).bytesRead);
  seen.push(((await file.readFile("utf8")) as string).length);
  const wide = new Uint32Array(2);
  seen.push((await file.read(wide, 4, 4, 0)).bytesRead, [...wide]);
  await file.truncate(3);
  seen.push((await file.stat()).size, (await file.stat({ bigint: true })).size);
  await file.chmod(0o600);
  await file.utimes(1, 2);
  seen.push((await file.stat()).mode, (await file.stat()).mtimeMs);
  await file.sync();
  await file.datasync();
  await file.close();
  await file.close();
  seen.push(file.fd, await code(file.read(buffer)), await code(file.stat()));

  const appending = await open(name, "a+");
  await appending.appendFile("tail");
  await appending.write("x", 0);
  seen.push(String(await appending.readFile()), (await appending.stat()).size);
  await appending.close();
  const reading = await open(name);
  seen.push(await code(reading.write("no")), await code(reading.truncate(0)));
  seen.push(await code(reading.read(buffer, 99)), await code(reading.read(buffer, 0, 99)));
  await reading[Symbol.asyncDispose]();
  const writing = await open(name, "w");
  seen.push(await code(writing.readFile()), await code(writing.read(buffer)));
  await writing.close();
  seen.push(await code(open(name, "wx")), await code(open("missing/file", "w")));
  return seen;
}

it("behaves as Node's", async () => {
  const [node, ours] = openers();
  const withoutHost = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (_, part: unknown) =>
        typeof part === "bigint" ? `${part}n` : part,
      ).replaceAll(host, ""),
    );
  expect(withoutHost(await script(ours, "file"))).toEqual(withoutHost(await script(node, "file")));
});

it("keeps a file that was unlinked or restored away until it is closed", async () => {
  const [, open, vfs] = openers();
  const before = vfs.freeze();
  const file = await open("gone", "w+");
  await file.write("still here");
  vfs.fs.unlinkSync("/gone");
  expect(String(await file.readFile())).toBe("");
  expect((await file.read(Buffer.alloc(5), 0, 5, 0)).bytesRead).toBe(5);
  expect((await file.stat()).nlink).toBe(0);
  const other = await open("other", "w+");
  await vfs.restore(before);
  expect(vfs.fs.readdirSync("/")).toEqual([]);
  await other.write("orphan");
  expect((await other.stat()).size).toBe(6);
  const held = vfs.usage().inodes;
  await Promise.all([file.close(), other.close()]);
  expect(vfs.usage().inodes).toBe(held - 2);
  vfs.close();
});

it("gives every writer of an appended file its own place", async () => {
  const [, open] = openers();
  const files = await Promise.all(Array.from({ length: 8 }, () => open("log", "a")));
  const lines = files.map(async (file, n) => {
    for (let line = 0; line < 50; line++) await file.write(`${n} ${line}\n`);
    await file.close();
  });
  await Promise.all(lines);
  const all = String(await (await open("log")).readFile())
    .trim()
    .split("\n");
  expect(new Set(all).size).toBe(400);
});
