// What sync calls share (an array for stat's numbers, a buffer for text) never shows in a result.

import { expect, test } from "vitest";
import { Vfs } from "../vfs.js";

test("each sync stat keeps its own numbers", () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  fs.writeFileSync("/a", "1");
  fs.mkdirSync("/b");
  const [a, wide] = [fs.statSync("/a"), fs.lstatSync("/a", { bigint: true })];
  const b = fs.statSync("/b");
  expect([a.isFile(), a.size, wide.isFile(), wide.size]).toEqual([true, 1, true, 1n]);
  expect(b.isDirectory()).toBe(true);
  expect(a.ino).toBe(Number(wide.ino));
  expect(b.ino).not.toBe(a.ino);
});

test("a name that means nothing is undefined in both forms, other failures are thrown", async () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  fs.writeFileSync("/file", "");
  fs.symlinkSync("loop", "/loop");
  fs.symlinkSync("none", "/dangling");
  // Both forms take the option, though the types do not say so.
  const quiet: object = { throwIfNoEntry: false };
  for (const path of ["/none", "/file/below", "/dangling"]) {
    expect(fs.statSync(path, quiet)).toBe(undefined);
    expect(await fs.stat(path, quiet)).toBe(undefined);
    expect(fs.existsSync(path)).toBe(false);
  }
  expect(() => fs.statSync("/none")).toThrow("ENOENT: no such file or directory, stat '/none'");
  expect(() => fs.statSync("/loop", quiet)).toThrow("ELOOP");
  await expect(fs.stat("/loop", quiet)).rejects.toThrow("ELOOP");
  expect(fs.existsSync("/loop")).toBe(false);
  expect(fs.existsSync("/file")).toBe(true);
  expect(fs.lstatSync("/dangling", quiet).isSymbolicLink()).toBe(true);
});

test("text is read whole on both sides of the shared buffer's length", () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    const text = "é".repeat(length >> 1) + "x".repeat(length & 1);
    fs.writeFileSync("/text", text);
    expect(fs.readFileSync("/text", "utf8")).toBe(text);
    expect(fs.readFileSync("/text", "hex")).toBe(Buffer.from(text).toString("hex"));
  }
  const [first, second] = ["one", "two"].map((text) => {
    fs.writeFileSync("/text", text);
    return fs.readFileSync("/text");
  });
  expect([first?.toString(), second?.toString()]).toEqual(["one", "two"]);
});

test("names come in the encoding asked for, also those that are not UTF-8", () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  const odd = Buffer.from([0x2f, 0x61, 0xff, 0xe2, 0x82]);
  fs.writeFileSync(odd, "");
  fs.writeFileSync("/ü", "");
  expect(fs.readdirSync("/")).toEqual([odd.subarray(1).toString(), "ü"]);
  expect(fs.readdirSync("/", "hex")).toEqual(["61ffe282", "c3bc"]);
  expect(fs.readdirSync("/", "buffer" as "utf8")).toEqual([odd.subarray(1), Buffer.from("ü")]);
});
