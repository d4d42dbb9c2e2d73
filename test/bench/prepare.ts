// What the benchmark works with, made once and kept in a cache directory, as it takes minutes: an
// npm project with its lock file, installed, and the same committed to a bare repository; an npm
// cache that has all of it; a TypeScript project (the sources of rxjs); a crate with vendored
// dependencies.

import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CHECKOUT } from "../harness/base.ts";
import { isRoot } from "../harness/identity.ts";
import { must, run } from "../harness/run.ts";

const FULL = {
  "@babel/core": "7",
  "@mui/material": "6",
  "date-fns": "4",
  eslint: "9",
  express: "4",
  jest: "29",
  lodash: "4",
  react: "19",
  "react-dom": "19",
  typescript: "5.9.3",
  vite: "7",
  webpack: "5",
};
const QUICK = { lodash: "4.17.21", semver: "7.7.3", yargs: "18.0.0" };

export interface Prepared {
  /** package.json, package-lock.json and node_modules. */
  project: string;
  /** A bare repository with the project committed. */
  repository: string;
  /** What npm has downloaded for it. */
  npmCache: string;
  /** node_modules with TypeScript, and the sources of rxjs in `project`. */
  typescript: string;
  /** A crate, its dependencies vendored; undefined without cargo. */
  crate: string | undefined;
  files: number;
  bytes: number;
}

const INSTALL = "npm install --no-audit --no-fund --ignore-scripts --loglevel=error";
const GIT = "git -c user.name=bench -c user.email=bench@example.org";
const TIMEOUT_MS = 600_000;

export async function prepare(quick: boolean): Promise<Prepared> {
  // Ordinary users, whose steps read it too, cannot enter root's home.
  const own = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const at = join(isRoot() ? "/var/cache" : own, "devdev-bench", quick ? "quick-2" : "full-2");
  if (!existsSync(at)) await make(at, quick);
  const repository = join(at, "repository.git");
  const { stdout } = await must(["git", "-C", repository, "ls-tree", "-rl", "HEAD"]);
  const sizes = stdout
    .trim()
    .split("\n")
    .map((line) => Number(line.split(/\s+/)[3]));
  const crate = join(at, "crate");
  if (!existsSync(crate)) console.error("bench: cargo is missing: no cargo build");
  return {
    project: join(at, "project"),
    repository,
    npmCache: join(at, "npm-cache"),
    typescript: join(at, "typescript"),
    crate: existsSync(crate) ? crate : undefined,
    files: sizes.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

async function make(at: string, quick: boolean): Promise<void> {
  console.error(`bench: preparing what is measured with, once, in ${at}`);
  const making = `${at}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  await makeProject(making, quick);
  await makeTypescript(making);
  if ((await run(["cargo", "--version"])).code === 0) await makeCrate(making);
  renameSync(making, at);
}

async function makeProject(making: string, quick: boolean): Promise<void> {
  await install(making, "project", quick ? QUICK : FULL, quick ? undefined : "bench-package-lock");
  const commit = `cp -r "$0/project" "$0/work" && cd "$0/work" && git init -q && git add -A &&
    ${GIT} commit -qm one && git clone -q --bare . ../repository.git && rm -rf "$0/work"`;
  await must(["sh", "-euc", commit, making], { timeoutMs: TIMEOUT_MS });
}

async function makeTypescript(making: string): Promise<void> {
  const dependencies = { rxjs: "7.8.2", typescript: "5.9.3" };
  await install(making, "typescript", dependencies, "bench-tsc-package-lock");
  const at = join(making, "typescript");
  for (const name of ["src", "tsconfig.json"]) {
    cpSync(join(at, "node_modules/rxjs", name), join(at, "project", name), { recursive: true });
  }
  rmSync(join(at, "node_modules/rxjs"), { recursive: true });
}

async function install(
  making: string,
  name: string,
  dependencies: Record<string, string>,
  lock: string | undefined,
): Promise<void> {
  const at = join(making, name);
  mkdirSync(at);
  const manifest = { name: "bench", version: "1.0.0", private: true, dependencies };
  writeFileSync(join(at, "package.json"), JSON.stringify(manifest));
  if (lock !== undefined) {
    const fixture = join(CHECKOUT, "test/fixtures", `${lock}.json`);
    copyFileSync(fixture, join(at, "package-lock.json"));
  }
  const script = `cd "$0" && ${INSTALL} --cache "$1"`;
  await must(["sh", "-euc", script, at, join(making, "npm-cache")], { timeoutMs: TIMEOUT_MS });
}

const MANIFEST = `[package]
name = "bench-cargo"
version = "1.0.0"
edition = "2021"
publish = false

[dependencies]
ignore = "=0.4.23"

[workspace]
`;
const MAIN = `fn main() {
    let at = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    println!("{}", ignore::Walk::new(at).flatten().count());
}
`;
const SOURCES = `[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "vendor"
`;

async function makeCrate(making: string): Promise<void> {
  const at = join(making, "crate");
  mkdirSync(join(at, "src"), { recursive: true });
  mkdirSync(join(at, ".cargo"));
  writeFileSync(join(at, "Cargo.toml"), MANIFEST);
  writeFileSync(join(at, "src/main.rs"), MAIN);
  copyFileSync(join(CHECKOUT, "test/fixtures/bench-Cargo.lock"), join(at, "Cargo.lock"));
  const vendor = 'cd "$0" && cargo vendor --locked -q';
  await must(["sh", "-euc", vendor, at], { timeoutMs: TIMEOUT_MS });
  writeFileSync(join(at, ".cargo/config.toml"), SOURCES);
}
