// The project that the benchmark works with: an npm project with its lock file, installed once, and
// the same committed to a bare repository. Kept in a cache directory, as it takes a minute to make.

import { copyFileSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CHECKOUT } from "../harness/base.ts";
import { must } from "../harness/run.ts";

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
  files: number;
}

const INSTALL = "npm install --no-audit --no-fund --ignore-scripts --loglevel=error";
const GIT = "git -c user.name=bench -c user.email=bench@example.org";

export async function prepare(quick: boolean): Promise<Prepared> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const at = join(cache, "devdev-bench", quick ? "quick-1" : "full-1");
  const prepared = { project: join(at, "project"), repository: join(at, "repository.git") };
  if (!existsSync(at)) await make(at, quick);
  const { stdout } = await must(["git", "-C", prepared.repository, "ls-tree", "-r", "HEAD"]);
  return { ...prepared, files: stdout.trim().split("\n").length };
}

async function make(at: string, quick: boolean): Promise<void> {
  const making = `${at}.${process.pid}`;
  const project = join(making, "project");
  mkdirSync(project, { recursive: true });
  const dependencies = quick ? QUICK : FULL;
  const manifest = { name: "bench", version: "1.0.0", private: true, dependencies };
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
  const lock = join(CHECKOUT, "test/fixtures/bench-package-lock.json");
  if (!quick) copyFileSync(lock, join(project, "package-lock.json"));
  console.error("bench: preparing the project (once)");
  const timeoutMs = 600_000;
  await must(["sh", "-euc", `cd "$0" && ${INSTALL}`, project], { timeoutMs });
  const commit = `cp -r "$0/project" "$0/work" && cd "$0/work" && git init -q && git add -A &&
    ${GIT} commit -qm one && git clone -q --bare . ../repository.git && rm -rf "$0/work"`;
  await must(["sh", "-euc", commit, making], { timeoutMs });
  renameSync(making, at);
}
