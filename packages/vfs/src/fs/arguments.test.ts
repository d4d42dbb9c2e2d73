// Callers' mistakes: each is refused with the class and code that node:fs has for it.

import * as nodeFs from "node:fs";
import { describe, expect, it } from "vitest";
import { Vfs } from "@devdev/vfs";

type Calls = Record<string, (...args: unknown[]) => unknown>;
const vfs = Vfs.create();
const ours = vfs.fs as unknown as Calls;
const node = nodeFs as unknown as Calls;

function mistake(fs: Calls, name: string, args: unknown[]): unknown {
  try {
    fs[name]?.(...args);
  } catch (error) {
    const { constructor, code } = error as { constructor: { name: string }; code: string };
    return [constructor.name, code];
  }
  return "accepted";
}

const path = "/devdev/no/such/path";
const mistakes: Array<[string, ...unknown[]]> = [
  ["readFileSync"],
  ["readFileSync", {}],
  ["readFileSync", null],
  ["readFileSync", "/a\0b"],
  ["readFileSync", Buffer.from("/a\0b")],
  ["readFileSync", path, "no-encoding"],
  ["readFileSync", path, { encoding: "no-encoding" }],
  ["readFileSync", path, { flag: "q" }],
  ["readFileSync", path, { flag: 1.5 }],
  ["writeFileSync", path, 42],
  ["writeFileSync", path, {}],
  ["writeFileSync", path, undefined],
  ["writeFileSync", path, "x", { mode: "8" }],
  ["writeFileSync", path, "x", { mode: -1 }],
  ["writeFileSync", path, "x", { mode: {} }],
  ["statSync", 7],
  ["accessSync", path, 8],
  ["accessSync", path, "x"],
  ["mkdirSync", path, "rwx"],
  ["mkdirSync", path, { recursive: "yes" }],
  ["mkdtempSync", 1],
  ["chmodSync", path],
  ["chmodSync", path, "99"],
  ["chmodSync", path, 1.5],
  ["chownSync", path, -2, 0],
  ["chownSync", path, 0],
  ["chownSync", path, "root", 0],
  ["utimesSync", path, {}, 0],
  ["utimesSync", path, "x", 0],
  ["renameSync", path],
  ["renameSync", 1, path],
  ["linkSync", path, 1],
  ["symlinkSync", 1, path],
  ["symlinkSync", "a\0b", path],
  ["copyFileSync", path],
  ["copyFileSync", path, path, 99],
  ["rmSync", path, 5],
  ["readlinkSync", path, "no-encoding"],
];

describe("mistakes", () => {
  it.each(mistakes)("%s(%o, %o)", (name, ...args) => {
    const expected = mistake(node, name, args);
    expect(expected).not.toBe("accepted");
    expect(mistake(ours, name, args)).toEqual(expected);
  });

  it("rejects in the promise form, and says what was received", async () => {
    const read = vfs.fs.readFile as (path: unknown) => Promise<Buffer>;
    await expect(read(undefined)).rejects.toThrow(/"path".*Received undefined/);
    await expect(read("/a\0")).rejects.toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
  });

  it("has errors of its own for what only it can get wrong", () => {
    expect(() => vfs.fs.readFileSync("relative")).toThrow(
      expect.objectContaining({ code: "EINVAL", path: "relative" }),
    );
    expect(() => vfs.fs.statSync("")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(vfs.fs.existsSync(undefined as never)).toBe(false);
  });
});
