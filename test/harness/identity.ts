// Who runs devdev in a test: root, and an ordinary user that is made when it is missing. As root
// one suite covers both; run by an ordinary user itself, only that one is left, and it says so.

import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { CHECKOUT } from "./base.ts";
import { mountAt } from "./mounts.ts";
import { must, run } from "./run.ts";

const USER = process.env["DEVDEV_TEST_USER"] ?? "devdevtest";
const FUSE = "/dev/fuse";
/** Apart from what a run sweeps with rm: behind these mounts is the checkout itself. */
export const BIND_DIRECTORY = "/run/devdev-test-bind";

export interface Identity {
  name: "root" | "user";
  user: string;
  uid: number;
  gid: number;
  /** The checkout, at a path that this identity can reach. */
  checkout: string;
  /** The command line that runs `argv` as this identity. */
  wrap(argv: readonly string[]): string[];
  /** PATH outside of devdev. */
  path: string;
  /** Where the Rust toolchain's programs are, at a path that this identity can reach. */
  rustBin: string | undefined;
}

export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The identities this run can test, by name; resolve one with `identity`. */
export const identityNames: ("root" | "user")[] = isRoot() ? ["root", "user"] : ["user"];

const known = new Map<string, Promise<Identity>>();

export function identity(name: "root" | "user"): Promise<Identity> {
  let made = known.get(name);
  if (made === undefined) {
    made = name === "root" || !isRoot() ? own(name) : ordinary();
    known.set(name, made);
  }
  return made;
}

async function own(name: "root" | "user"): Promise<Identity> {
  const { username, uid, gid } = userInfo();
  const wrap = (argv: readonly string[]): string[] => [...argv];
  const path = process.env["PATH"] ?? SYSTEM_PATH;
  const rustBin = await toolchain();
  return { name, user: username, uid, gid, checkout: CHECKOUT, wrap, path, rustBin };
}

async function ordinary(): Promise<Identity> {
  const passwd = (): string[] | undefined =>
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .find(([user]) => user === USER);
  if (passwd() === undefined) {
    await must(["useradd", "--create-home", "--shell", "/bin/bash", USER]);
  }
  // fusermount3 opens the device with its caller's rights. A machine without udev keeps it to root.
  if (existsSync(FUSE) && (statSync(FUSE).mode & 0o006) !== 0o006) chmodSync(FUSE, 0o666);
  const [, , uid, gid] = passwd() ?? [];
  const wrap = (argv: readonly string[]): string[] => {
    const ids = ["--reuid", uid!, "--regid", gid!, "--init-groups"];
    return ["setpriv", ...ids, "--", ...argv];
  };
  const who = { name: "user" as const, user: USER, uid: Number(uid), gid: Number(gid), wrap };
  const checkout = await reachable(who, "checkout", CHECKOUT, "package.json");
  const bin = await toolchain();
  const sysroot = bin === undefined ? undefined : bin.slice(0, -"/bin".length);
  const rust = sysroot && (await reachable(who, "rust", sysroot, "bin/cargo"));
  return { ...who, checkout, path: SYSTEM_PATH, rustBin: rust && join(rust, "bin") };
}

/** The directory of the real cargo and rustc, behind rustup's proxies. */
async function toolchain(): Promise<string | undefined> {
  const found = await run(["rustc", "--print", "sysroot"]);
  return found.code === 0 ? join(found.stdout.trim(), "bin") : undefined;
}

/** A path at which the user reads `directory`: itself, or a bind mount of it. */
async function reachable(
  who: Pick<Identity, "wrap">,
  name: string,
  directory: string,
  member: string,
): Promise<string> {
  const readable = async (at: string): Promise<boolean> =>
    (await run(who.wrap(["test", "-r", join(at, member)]))).code === 0;
  if (await readable(directory)) return directory;
  const digest = createHash("sha256").update(directory).digest("hex").slice(0, 12);
  const at = join(BIND_DIRECTORY, `${name}-${digest}`);
  if (mountAt(at) === undefined) {
    mkdirSync(at, { recursive: true, mode: 0o755 });
    await must(["mount", "--bind", "--read-only", directory, at]);
  }
  if (!(await readable(at))) throw new Error(`${USER} cannot read ${member} of ${directory}`);
  return at;
}
