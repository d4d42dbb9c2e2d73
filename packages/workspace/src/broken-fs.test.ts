// Whether the suite for file systems notices: for each rule a file system that breaks it and
// nothing else. A rule that no case fails for is not tested.

import { fsConformance } from "@devdev/protocol/test/fs-conformance";
import { Workspace } from "@devdev/workspace";
import { describe, expect, it } from "vitest";

/** Any method, as the suite calls it. */
type Call = (...args: never[]) => Promise<unknown>;
type Changes = Record<string, Call>;
/** What a broken method has of the whole file system. */
type Calls = Record<string, (...args: unknown[]) => Promise<unknown>>;

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/** Turns one error into nothing. */
function ignoring(code: string, call: Call): Call {
  return async (...args) => {
    try {
      return await call(...args);
    } catch (error) {
      if (codeOf(error) !== code) throw error;
      return undefined;
    }
  };
}

type Rule = [string, (fs: Calls) => Changes];

const RULES: Rule[] = [
  ["a directory is made once", (fs) => ({ mkdir: ignoring("EEXIST", fs["mkdir"]!) })],
  [
    "a file that is to be new is new",
    (fs) => ({ writeFile: (path: string, data: string) => fs["writeFile"]!(path, data) }),
  ],
  [
    "a directory with names stays",
    (fs) => ({ rmdir: (path: string) => fs["rm"]!(path, { recursive: true }) }),
  ],
  ["what is not there is told", (fs) => ({ unlink: ignoring("ENOENT", fs["unlink"]!) })],
  [
    "unlink is for files",
    (fs) => ({ unlink: (path: string) => fs["rm"]!(path, { recursive: true }) }),
  ],
  ["links are followed 40 times", (fs) => ({ stat: ignoring("ELOOP", fs["stat"]!) })],
  ["access tells of loops", (fs) => ({ access: ignoring("ELOOP", fs["access"]!) })],
  ["a path that leads nowhere is none", (fs) => ({ access: ignoring("ENOENT", fs["access"]!) })],
  ["lstat does not follow", (fs) => ({ lstat: (path: string) => fs["stat"]!(path) })],
  [
    "a target is kept as it is",
    (fs) => ({
      symlink: (target: string, path: string) => fs["symlink"]!(`/${target}`, path),
    }),
  ],
  ["readlink is for links", (fs) => ({ readlink: ignoring("EINVAL", fs["readlink"]!) })],
  [
    "hard links are one file",
    (fs) => ({ link: (from: string, to: string) => fs["copyFile"]!(from, to) }),
  ],
  [
    "a copy is two",
    (fs) => ({
      copyFile: async (from: string, to: string) => {
        await fs["rm"]!(to, { force: true });
        await fs["link"]!(from, to);
      },
    }),
  ],
  [
    "a copy leaves what is there when asked to",
    (fs) => ({ copyFile: (from: string, to: string) => fs["copyFile"]!(from, to) }),
  ],
  [
    "a rename replaces",
    (fs) => ({
      rename: async (from: string, to: string) => {
        await fs["link"]!(from, to);
        await fs["unlink"]!(from);
      },
    }),
  ],
  [
    "a rename moves",
    (fs) => ({
      rename: async (from: string, to: string) => {
        await fs["rename"]!(from, to);
        await fs["cp"]!(to, from, { recursive: true, force: true });
      },
    }),
  ],
  [
    "listings are whole",
    (fs) => ({
      readdir: async (...args: unknown[]) => ((await fs["readdir"]!(...args)) as []).slice(0, 100),
    }),
  ],
  ["listings have kinds", (fs) => ({ readdir: (path: string) => fs["readdir"]!(path) })],
  [
    "growing adds zeros",
    (fs) => ({
      truncate: async (path: string, length: number) => {
        const { size } = (await fs["stat"]!(path)) as { size: number };
        if (length <= size) return fs["truncate"]!(path, length);
        return fs["appendFile"]!(path, Buffer.alloc(length - size, 1));
      },
    }),
  ],
  [
    "shrinking forgets",
    (fs) => ({
      truncate: async (path: string, length: number) => fs["truncate"]!(path, length + 1),
    }),
  ],
  [
    "large files are whole",
    (fs) => ({
      readFile: async (...args: unknown[]) => {
        const found = (await fs["readFile"]!(...args)) as Buffer | string;
        return typeof found === "string" ? found : found.subarray(0, 65_536);
      },
    }),
  ],
  [
    "modes are kept",
    (fs) => ({ chmod: (path: string, mode: number) => fs["chmod"]!(path, mode & 0o700) }),
  ],
  [
    "times are seconds",
    (fs) => ({
      utimes: (path: string, a: number, m: number) => fs["utimes"]!(path, a / 1000, m / 1000),
    }),
  ],
];

/** How many cases fail. */
async function failures(change: Rule[1]): Promise<number> {
  const cases = fsConformance(async () => {
    const workspace = await Workspace.create();
    const whole = workspace.fs as unknown as Calls;
    const bound: Calls = new Proxy({}, { get: (_, name: string) => whole[name]?.bind(whole) });
    const changes = change(bound);
    const fs = new Proxy(workspace.fs, {
      get(_, name: string) {
        return changes[name] ?? bound[name];
      },
    });
    return { fs, close: () => workspace.close() };
  });
  const results = await Promise.allSettled(cases.map(({ run }) => run()));
  return results.filter(({ status }) => status === "rejected").length;
}

describe("the suite for file systems notices", () => {
  it("nothing where nothing is broken", async () => {
    expect(await failures(() => ({}))).toBe(0);
  });

  it.each(RULES)("%s", async (_, broken) => {
    expect(await failures(broken)).toBeGreaterThan(0);
  });
});
