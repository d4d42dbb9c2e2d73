// Errors have the shape of Node's, and keep every field on their way through JSON.

import { readFileSync, renameSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  argumentError,
  DevdevError,
  devdevError,
  errorFromPlain,
  errnoName,
  errorToPlain,
  FsError,
} from "@devdev/errno";

function thrown(call: () => unknown): Error & Record<string, unknown> {
  try {
    call();
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  throw new Error("nothing was thrown");
}

describe("FsError", () => {
  it("has the fields and the message of Node's errors", () => {
    const path = "/devdev/does/not/exist";
    const node = thrown(() => readFileSync(path));
    const ours = new FsError("ENOENT", { syscall: "open", path: Buffer.from(path) });
    expect({ ...ours }).toEqual({ ...node });
    expect(ours.message).toBe(node.message);
    expect(String(ours)).toBe(String(node));
    expect(ours.stack?.split("\n")[0]).toBe(node.stack?.split("\n")[0]);
    const two = thrown(() => renameSync(path, "/devdev/b"));
    const dest = new FsError("ENOENT", { syscall: "rename", path, dest: "/devdev/b" });
    expect({ ...dest }).toEqual({ ...two });
    expect(dest.message).toBe(two.message);
  });

  it("knows what libuv does not, and Node's name of EOPNOTSUPP", () => {
    expect(new FsError("EDQUOT", { syscall: "write" }).message).toBe(
      "EDQUOT: disk quota exceeded, write",
    );
    const xattr = new FsError("EOPNOTSUPP", { syscall: "getxattr", path: "/a" });
    expect([xattr.code, xattr.errno]).toEqual(["ENOTSUP", -95]);
  });
});

describe("errors as plain JSON", () => {
  const samples = [
    new FsError("EXDEV", {
      syscall: "rename",
      path: "/a",
      dest: "/b",
      cause: new FsError("EIO", { syscall: "read" }),
    }),
    devdevError("EBUSY", "in use", {
      hint: "end it",
      details: { pids: [1, 2] },
      cause: new Error("why"),
    }),
    argumentError("TypeError", "ERR_INVALID_ARG_TYPE", "no"),
    argumentError("RangeError", "ERR_OUT_OF_RANGE", "too far"),
    new Error("plain"),
  ];
  it.each(samples.map((error) => [error.constructor.name, error]))("keeps %s", (_, error) => {
    const back = errorFromPlain(JSON.parse(JSON.stringify(errorToPlain(error))));
    expect(back).toEqual(error);
    expect(back.constructor).toBe(error.constructor);
    expect({ ...back }).toEqual({ ...error });
    expect(back.cause).toEqual(error.cause);
  });

  it("takes what is no error, and rings of causes", () => {
    expect(errorToPlain("text")).toEqual({ kind: "Error", message: "text" });
    const ring = new DevdevError("ERR_X", "ring");
    ring.cause = ring;
    expect(JSON.stringify(errorToPlain(ring)).length).toBeLessThan(2000);
  });
});

it("numbers have names, and those that have none stay numbers", () => {
  expect([2, 28, 116].map(errnoName)).toEqual(["ENOENT", "ENOSPC", "ESTALE"]);
  expect(errnoName(2000)).toBe("errno 2000");
});
