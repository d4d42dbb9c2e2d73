// The curated environment, variable by variable, with a host and a caller made up here.
import { describe, expect, test } from "vitest";

import {
  buildEnvironment,
  type EnvironmentOptions,
  type Host,
  parseAssignment,
} from "./environment.js";
import { PROFILES } from "./profiles.js";

const TOOLS: Record<string, string> = {
  cargo: "/home/me/.cargo/bin/cargo",
  node: "/opt/node/bin/node",
  npm: "/usr/bin/npm",
  go: "/opt/go/bin/go",
};
let FILES: string[] = [];
const host: Host = {
  user: "me",
  home: "/home/me",
  isDirectory: (path) => path === "/home/me/.rustup",
  isFile: (path) => FILES.includes(path),
  realPath: (path) => (path === "/opt/node/bin/node" ? "/opt/node-24/bin/node" : path),
  findOnPath: (name, path) => (path.startsWith("/caller/path") ? TOOLS[name] : undefined),
};
const callerEnv = {
  PATH: "/caller/path",
  HOME: "/home/me",
  GH_TOKEN: "secret",
  GOROOT: "/opt/go",
  LD_PRELOAD: "/evil.so",
  LANG: "de_DE.UTF-8",
};
const build = (options: Partial<EnvironmentOptions> = {}) =>
  buildEnvironment({
    host,
    home: "/w/.devdev/home",
    tmpdir: "/w/.devdev/tmp",
    cwd: "/w/src",
    callerEnv,
    ...options,
  });

const TABLE = {
  HOME: "/w/.devdev/home",
  TMPDIR: "/w/.devdev/tmp",
  USER: "me",
  LOGNAME: "me",
  SHELL: "/bin/sh",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  TERM: "dumb",
  LANG: "C.UTF-8",
  PAGER: "cat",
  GIT_PAGER: "cat",
  GIT_TERMINAL_PROMPT: "0",
  PWD: "/w/src",
};

describe("buildEnvironment", () => {
  test("gives the table and nothing else of the caller", () => {
    expect(build()).toEqual(TABLE);
  });

  test("a dumb terminal gets its size, the caller's own is left to say it", () => {
    const size = { cols: 100, rows: 30 };
    expect(build({ terminal: size })).toEqual({ ...TABLE, COLUMNS: "100", LINES: "30" });
    expect(build({ terminal: { ...size, term: "xterm" } })).toEqual({ ...TABLE, TERM: "xterm" });
  });

  test("passEnv takes what is set, env wins over everything", () => {
    const passEnv = ["GH_TOKEN", "LANG", "NOT_SET"];
    const env = { LANG: "C", NEW: "1", PATH: "/only" };
    expect(build({ passEnv, env })).toEqual({ ...TABLE, ...env, GH_TOKEN: "secret" });
  });

  test("path comes first and only once; passing PATH replaces the base", () => {
    expect(build({ path: ["/a", "/usr/bin"] })["PATH"]).toBe(
      "/a:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin",
    );
    expect(build({ path: ["/a"], passEnv: ["PATH"] })["PATH"]).toBe("/a:/caller/path");
  });

  test.each(["relative", "/a:/b", ""])("refuses %j as a directory of PATH", (bad) => {
    expect(() => build({ path: [bad] })).toThrow(TypeError);
  });

  test("rust: CARGO_HOME in HOME, the host's RUSTUP_HOME and tools", () => {
    expect(build({ profiles: ["rust"] })).toEqual({
      ...TABLE,
      CARGO_HOME: "/w/.devdev/home/.cargo",
      RUSTUP_HOME: "/home/me/.rustup",
      PATH: `/w/.devdev/home/.cargo/bin:/home/me/.cargo/bin:${TABLE.PATH}`,
    });
  });

  test("node and go add what the caller has outside of the base, and no secret", () => {
    expect(build({ profiles: ["node", "go"] })).toEqual({
      ...TABLE,
      NPM_CONFIG_PREFIX: "/w/.devdev/home/.npm-global",
      GOROOT: "/opt/go",
      PATH: [
        "/w/.devdev/home/.npm-global/bin:/w/.devdev/home/go/bin",
        "/opt/node/bin:/opt/go/bin",
        TABLE.PATH,
      ].join(":"),
    });
  });

  test("node: the host's own npmrc stays npm's global one, wherever npm's prefix is", () => {
    const of = (files: string[], options: Partial<EnvironmentOptions> = {}) => {
      FILES = files;
      return build({ profiles: ["node"], ...options })["NPM_CONFIG_GLOBALCONFIG"];
    };
    try {
      expect(of([])).toBeUndefined();
      expect(of(["/etc/npmrc", "/opt/node-24/etc/npmrc"])).toBe("/opt/node-24/etc/npmrc");
      expect(of(["/etc/npmrc", "/etc/etc/npmrc"])).toBe("/etc/npmrc");
      expect(of(["/etc/npmrc"], { callerEnv: {} })).toBe("/etc/npmrc");
      expect(of(["/etc/npmrc"], { env: { NPM_CONFIG_GLOBALCONFIG: "/mine" } })).toBe("/mine");
    } finally {
      FILES = [];
    }
  });

  test("what the caller has inside of the workspace is not looked at", () => {
    const seen: string[] = [];
    const looking: Host = { ...host, findOnPath: (_, path) => void seen.push(path) };
    const PATH = "/w/.devdev/home/.npm-global/bin:/usr/bin:/w:/w2/bin";
    build({ host: looking, profiles: ["node"], callerEnv: { PATH } });
    expect(seen.length).toBeGreaterThan(0);
    for (const path of seen) expect(path).toMatch(/^\/usr\/bin:\/w2\/bin(:|$)/);
  });

  test.each(Object.keys(PROFILES))("profile %s works on a host that has nothing", (name) => {
    const environment = build({ profiles: [name], callerEnv: {} });
    expect(environment).toMatchObject({ HOME: TABLE.HOME });
    expect(environment["PATH"]?.endsWith(TABLE.PATH)).toBe(true);
  });

  test("an unknown profile is refused with those that are known", () => {
    expect(() => build({ profiles: ["cobol"] })).toThrow(
      /"cobol" \(known: node, rust, python, go\)/,
    );
    expect(() => build({ profiles: ["constructor"] })).toThrow(TypeError);
  });
});

test("parseAssignment splits at the first equals sign", () => {
  expect(parseAssignment("A=b=c")).toEqual(["A", "b=c"]);
  expect(parseAssignment("A=")).toEqual(["A", ""]);
  expect(() => parseAssignment("A")).toThrow(TypeError);
  expect(() => parseAssignment("=b")).toThrow(TypeError);
});
