// A fixed sequence of file calls, valid and not, with what each returned or threw: two
// implementations of `fs` give equal lists, down to every field and message of an error.

import type { Workspace } from "@devdev/protocol";
import { errorFields } from "./contract.js";

type Call = [op: string, ...args: unknown[]];

const ODD = Buffer.from([0x2f, 0x66, 0xff]);
const CALLS: Call[] = [
  ["mkdir", "/d"],
  ["mkdir", "/d"],
  ["mkdir", "/d/e/f", { recursive: true }],
  ["mkdir", "/none/x"],
  ["mkdir", ODD],
  ["mkdir", ODD],
  ["writeFile", "/d/f", "text"],
  ["writeFile", "/d/f", "more", { flag: "a" }],
  ["writeFile", "/d/f", "x", { flag: "wx" }],
  ["writeFile", "/d", "x"],
  ["writeFile", "/d/g", { an: "object" }],
  ["writeFile", "/d/f", "x", { flag: "nonsense" }],
  ["appendFile", "/d/h", Buffer.from([0, 255])],
  ["readFile", "/d/f", "utf8"],
  ["readFile", "/d/h"],
  ["readFile", "/d", "utf8"],
  ["readFile", "/none"],
  ["readFile", "/d/f/x"],
  ["readFile", ""],
  ["readFile", "relative"],
  ["readFile", "/a\0b"],
  ["readFile", undefined],
  ["readFile", "/d/f", "no-such-encoding"],
  ["readdir", "/d"],
  ["readdir", "/", { encoding: "buffer" }],
  ["readdir", "/", { recursive: true, withFileTypes: true }],
  ["readdir", "/d/f"],
  ["readdir", "/none"],
  ["stat", "/d/f"],
  ["stat", "/none"],
  ["stat", "/none", { throwIfNoEntry: false }],
  ["stat", "/d/f", { bigint: true }],
  ["lstat", "/d/f/x"],
  ["access", "/none", 4],
  ["access", "/d/f", 1],
  ["symlink", "f", "/d/link"],
  ["symlink", "f", "/d/link"],
  ["symlink", "/loop", "/loop"],
  ["readlink", "/d/link"],
  ["readlink", "/d/link", { encoding: "buffer" }],
  ["readlink", "/d/f"],
  ["realpath", "/d/link"],
  ["realpath", "/loop"],
  ["link", "/d/f", "/d/hard"],
  ["link", "/d", "/d2"],
  ["link", "/none", "/d2"],
  ["rename", "/d/f", "/d/renamed"],
  ["rename", "/d", "/d/e/f"],
  ["rename", "/none", "/x"],
  ["rename", ODD, "/none/x"],
  ["chmod", "/d/renamed", 0o600],
  ["chmod", "/d/renamed", "755"],
  ["chmod", "/d/renamed", -1],
  ["chmod", "/none", 0o600],
  ["chown", "/d/renamed", "me", 5],
  ["utimes", "/d/renamed", 1.5, new Date(2000)],
  ["utimes", "/d/renamed", "x", "y"],
  ["lutimes", "/d/link", 3, 4],
  ["truncate", "/d/renamed", 2],
  ["truncate", "/d", 2],
  ["truncate", "/d/renamed", 1.5],
  ["copyFile", "/d/renamed", "/copy"],
  ["copyFile", "/d/renamed", "/copy", 1],
  ["cp", "/d", "/d3", { recursive: true }],
  ["cp", "/d", "/d4"],
  ["mknod", "/fifo", 0o010644],
  ["mknod", "/fifo", 0o010644],
  ["setxattr", "/copy", "user.x", "value"],
  ["setxattr", "/copy", "user.x", "value", { create: true }],
  ["setxattr", "/copy", "system.x", "value"],
  ["getxattr", "/copy", "user.x"],
  ["getxattr", "/copy", "user.y"],
  ["listxattr", "/copy"],
  ["removexattr", "/copy", "user.y"],
  ["rmdir", "/d"],
  ["rmdir", "/copy"],
  ["rm", "/d"],
  ["rm", "/none"],
  ["rm", "/none", { force: true }],
  ["rm", "/d3", { recursive: true }],
  ["unlink", "/d"],
  ["unlink", "/.devdev"],
  ["mkdtemp", "/none/x"],
  ["open", "/none", "r"],
  ["open", "/d", "w"],
  ["open", "/copy", "q"],
];

/** Runs the sequence in its promise forms, then, on what these left, in its sync forms. */
export async function fileOutcomes(workspace: Workspace): Promise<unknown[]> {
  const fs = workspace.fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  const outcomes: unknown[] = [];
  for (const form of ["", "Sync"]) {
    for (const [op, ...args] of CALLS) {
      const call = fs[`${op}${form}`];
      if (call) outcomes.push([op + form, args, await outcome(() => call(...args))]);
    }
  }
  return outcomes;
}

async function outcome(call: () => unknown): Promise<unknown> {
  try {
    return comparable(await call());
  } catch (error) {
    return errorFields(error);
  }
}

// Objects of different classes with the same fields. Times of the two runs differ, and so do inode
// numbers: each thread that makes files has some of its own.
function comparable(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return { buffer: value.toString("latin1") };
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  const kinds = ["isFile", "isDirectory", "isSymbolicLink", "isFIFO"].filter((question) =>
    (value as Record<string, () => boolean>)[question]?.(),
  );
  const fields = Object.entries(value).filter(([key]) => !/time|^(dev|ino)$/.test(key));
  const plain = fields.map(([key, field]) => [key, comparable(field)] as const);
  return { ...Object.fromEntries(plain), kinds };
}
