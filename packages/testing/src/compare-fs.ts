// Bringing results of node:fs and of a workspace's file API into a form in which they can be
// compared: paths below their root, sorted listings, the fields that must agree.

import type { BigIntStats, Dirent, Stats } from "node:fs";

/** The sync forms of either file API, called by name. */
export interface SyncFs {
  [name: string]: (...args: unknown[]) => unknown;
}

/** A time before this was set by somebody; a later one is when the test ran. */
const RECENT_MS = 1_750_000_000_000;

/** Calls that differ from Node in which system call they name; Node's own forms differ too. */
const OTHER_SYSCALL: ReadonlySet<string> = new Set(["realpath", "rm", "cp"]);

interface NodeError extends Error {
  code?: string;
  errno?: number;
  syscall?: string;
  path?: unknown;
  dest?: unknown;
}

function below(path: unknown, root: string): unknown {
  if (typeof path !== "string" && !Buffer.isBuffer(path)) return path;
  const text = path.toString();
  return text.startsWith(root) ? text.slice(root.length) : text;
}

function failure(name: string, error: NodeError, root: string): unknown {
  const { code, errno, syscall, path, dest } = error;
  if (code?.startsWith("ERR_") === true) {
    const mistake = error instanceof TypeError || error instanceof RangeError;
    return { threw: mistake ? error.constructor.name : "Error", code };
  }
  if (OTHER_SYSCALL.has(name)) return { threw: code, errno };
  return { threw: code, errno, syscall, path: below(path, root), dest: below(dest, root) };
}

function kind(entry: Stats | BigIntStats | Dirent): string {
  const questions = ["isFile", "isDirectory", "isSymbolicLink", "isFIFO", "isSocket"] as const;
  return questions.find((question) => entry[question]()) ?? "device";
}

function stats(found: Stats | BigIntStats): unknown {
  const { mode, uid, gid, size, nlink, mtimeMs } = found;
  const recent = Number(mtimeMs) > RECENT_MS;
  const own = found.isDirectory() ? {} : { size, nlink };
  return { mode, uid, gid, kind: kind(found), mtime: recent ? "recent" : mtimeMs, ...own };
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function list(values: unknown[], root: string): unknown {
  if (
    values.every((value) => typeof value === "object" && value !== null && "parentPath" in value)
  ) {
    const entries = (values as Dirent[]).map((entry) => ({
      name: `${String(below(entry.parentPath, root))} ${entry.name}`,
      kind: kind(entry),
    }));
    return entries.toSorted(byName);
  }
  const plain = values.map((value) => (Buffer.isBuffer(value) ? value.toString("latin1") : value));
  return { list: plain.map(String).sort(), buffers: values.some(Buffer.isBuffer) };
}

/** What a call of `name` returned or threw, free of what may differ. */
export function comparable(name: string, value: unknown, root: string): unknown {
  if (value instanceof Error) return failure(name, value, root);
  if (Array.isArray(value)) return list(value, root);
  if (Buffer.isBuffer(value)) {
    const text = value.toString("latin1");
    return { buffer: text.startsWith(root) ? text.slice(root.length) : text };
  }
  if (typeof value === "string") return below(value, root);
  if (typeof value === "object" && value !== null && "mtimeMs" in value) {
    return stats(value as Stats);
  }
  return value;
}

/** The whole tree below `root`, in the same form. */
export function comparableTree(fs: SyncFs, root: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const visit = (path: string): void => {
    const at = `${root}${path}`;
    const stat = fs.lstatSync?.(at) as Stats;
    const more: unknown = stat.isFile()
      ? fs.readFileSync?.(at, "latin1")
      : stat.isSymbolicLink()
        ? fs.readlinkSync?.(at)
        : undefined;
    found[path] = [stats(stat), more];
    if (!stat.isDirectory()) return;
    const names = fs.readdirSync?.(at) as string[];
    for (const name of names) visit(`${path}/${name}`);
  };
  visit("");
  return found;
}
