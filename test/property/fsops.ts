// The differential tester (native/fsops), built and run: the same random operations on tmpfs and on
// a mounted workspace or on the engine without a mount, or threads racing in the mount.

import { copyFileSync, existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { base, CHECKOUT } from "../harness/base.ts";
import type { Devdev } from "../harness/devdev.ts";
import type { Identity } from "../harness/identity.ts";
import { mounts } from "../harness/mounts.ts";
import { must, run, type RunResult } from "../harness/run.ts";

/**
 * Builds the tester; returns a copy that every identity can execute. Where nothing can be built,
 * DEVDEV_TEST_FSOPS is one.
 */
export async function buildFsops(): Promise<string> {
  const given = process.env["DEVDEV_TEST_FSOPS"];
  if (given !== undefined) return given;
  const manifest = join(CHECKOUT, "native/Cargo.toml");
  const build = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest];
  await must([...build, "-p", "devdev-fsops"], { timeoutMs: 10 * 60_000 });
  const target = process.env["CARGO_TARGET_DIR"] ?? join(CHECKOUT, "native/target");
  const copy = join(base(), "devdev-fsops");
  if (!existsSync(copy)) copyFileSync(join(target, "release/devdev-fsops"), copy);
  return copy;
}

/** A fresh directory on tmpfs that belongs to the identity. */
export async function onTmpfs(who: Identity): Promise<string> {
  const shm = "/dev/shm";
  if (!mounts().some(({ mountPoint, type }) => mountPoint === shm && type === "tmpfs")) {
    throw new Error(`${shm} is no tmpfs: there is nothing to compare with`);
  }
  const directory = mkdtempSync(join(shm, "devdev-suite-"));
  await must(["chown", `${who.uid}:${who.gid}`, directory]);
  return directory;
}

export interface PropertyOptions {
  seconds: number;
  seed: number;
  threads?: number;
  umask?: string;
  /** Operations in a sequence, and after how many the trees are compared. */
  ops?: number;
  every?: number;
}

function flags(options: PropertyOptions): string[] {
  const { seconds, seed, threads, umask, ops, every } = options;
  const all = { seconds, seed, threads, umask, ops, every };
  return Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
}

/** Time to find the shortest sequence after a mismatch, and for a mount that got stuck. */
const GRACE_SECONDS = 60;

/** The same operations on tmpfs and on `directory`. */
export async function compareWithTmpfs(
  fsops: string,
  devdev: Devdev,
  directory: string,
  options: PropertyOptions,
): Promise<RunResult> {
  const tmpfs = await onTmpfs(devdev.identity);
  const timeoutMs = (options.seconds + GRACE_SECONDS) * 1000;
  const command = [fsops, "diff", tmpfs, directory, ...flags(options)];
  const result = await run(devdev.identity.wrap(command), { env: devdev.env, timeoutMs });
  await must(["rm", "-rf", tmpfs]);
  return result;
}

/** The same operations on tmpfs and on the engine without a mount. */
export async function compareEngineWithTmpfs(
  fsops: string,
  who: Identity,
  options: PropertyOptions,
): Promise<RunResult> {
  const tmpfs = await onTmpfs(who);
  const timeoutMs = (options.seconds + GRACE_SECONDS) * 1000;
  const result = await run(who.wrap([fsops, "engine", tmpfs, ...flags(options)]), { timeoutMs });
  await must(["rm", "-rf", tmpfs]);
  return result;
}

/** A part of the table of calls, by root and others, on tmpfs and on `directory`. */
export async function conform(
  fsops: string,
  devdev: Devdev,
  directory: string,
  options: { seed: number; part: number },
): Promise<RunResult> {
  const tmpfs = await onTmpfs(devdev.identity);
  await must(["chmod", "755", tmpfs]);
  const flags = ["--seed", String(options.seed), "--part", String(options.part)];
  const command = [fsops, "conform", tmpfs, directory, ...flags];
  const result = await run(command, { env: devdev.env, timeoutMs: 10 * GRACE_SECONDS * 1000 });
  await must(["rm", "-rf", tmpfs]);
  return result;
}

/** Threads that collide in `directory`. */
export function race(
  fsops: string,
  devdev: Devdev,
  directory: string,
  options: PropertyOptions,
): Promise<RunResult> {
  const timeoutMs = (options.seconds + GRACE_SECONDS) * 1000;
  const command = [fsops, "race", directory, ...flags(options)];
  return run(devdev.identity.wrap(command), { env: devdev.env, timeoutMs });
}

/** A history of work, snapshots and restores beside a model that keeps copies. */
export async function live(
  fsops: string,
  devdev: Devdev,
  options: { seed: number; seconds: number },
): Promise<RunResult> {
  const { identity } = devdev;
  const tmpfs = await onTmpfs(identity);
  const node = process.execPath.replace(CHECKOUT, identity.checkout);
  const agent = join(identity.checkout, "test/property/history-agent.ts");
  const args = [devdev.directory, tmpfs, fsops, options.seed, options.seconds].map(String);
  const env = { ...devdev.env, DEVDEV_BIN: join(identity.checkout, "bin/devdev") };
  const timeoutMs = (options.seconds + 5 * GRACE_SECONDS) * 1000;
  const result = await run(identity.wrap([node, agent, ...args]), { env, timeoutMs });
  await must(["rm", "-rf", tmpfs]);
  return result;
}
