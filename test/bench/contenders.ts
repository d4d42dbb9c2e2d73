// What is measured: tmpfs, the disk, workspaces with given options, other directories, and mounts
// that a command makes. Each has a fresh file system in each round, and is alone while it is
// measured.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { base } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import { isRoot } from "../harness/identity.ts";
import { clearMounts, mountAt } from "../harness/mounts.ts";
import { must, run, until } from "../harness/run.ts";
import type { Who, Worker } from "./workers.ts";

export type Transport = "classic" | "io_uring";

/** A contender that is mounted. */
export interface Running extends AsyncDisposable {
  /** Belongs to the worker, and is empty. */
  directory: string;
  /** Of a workspace. */
  devdev?: Devdev;
}

/** Its name is KIND[-TRANSPORT][@user]. */
export interface Contender {
  name: string;
  kind: string;
  transport?: Transport;
  who: Who;
  /** What it is, for the report. */
  about: string;
  start(worker: Worker): Promise<Running>;
}

export type Start = Pick<Contender, "about" | "start">;

export function contender(name: string, make: (transport?: Transport) => Start): Contender {
  const match = /^([^@]+?)(?:-(classic|io_uring))?(@user)?$/.exec(name);
  if (match === null) throw new Error(`bench: ${name}: not KIND[-TRANSPORT][@user]`);
  const transport = match[2] as Transport | undefined;
  const who: Who = match[3] !== undefined || !isRoot() ? "user" : "root";
  const named = { name, kind: match[1]!, who };
  return { ...named, ...(transport && { transport }), ...make(transport) };
}

export function tmpfs(): Start {
  const start = async (worker: Worker): Promise<Running> => {
    if (!isRoot()) return removed(mkdtempSync("/dev/shm/devdev-suite-"));
    const at = fresh("tmpfs");
    await must(["mount", "-t", "tmpfs", "-o", "size=75%,mode=755", "tmpfs", at]);
    const directory = await worker.own(join(at, "work"));
    const end = async (): Promise<void> => void (await must(["umount", at]));
    return { directory, [Symbol.asyncDispose]: end };
  };
  return { about: "a fresh tmpfs", start };
}

export function directoryIn(parent: string, about: string): Start {
  const start = async (worker: Worker): Promise<Running> =>
    removed(await worker.own(`${mkdtempSync(join(parent, "devdev-bench-"))}/work`));
  return { about, start };
}

function removed(directory: string): Running {
  const end = async (): Promise<void> => {
    await must(["rm", "-rf", "--one-file-system", directory], { timeoutMs: 120_000 });
    await must(["sync"], { timeoutMs: 120_000 });
  };
  return { directory, [Symbol.asyncDispose]: end };
}

/** `devdev mount` with these options. */
export function workspace(options: string, transport?: Transport): Start {
  const flags = options.split(" ").filter((word) => word !== "");
  const start = async (worker: Worker): Promise<Running> => {
    const devdev = await Devdev.create(worker.identity, "bench");
    const end = async (): Promise<void> => {
      await devdev[Symbol.asyncDispose]();
      await removed(devdev.directory)[Symbol.asyncDispose]();
    };
    try {
      await devdev.mount(...flags);
      const found = await devdev.json<{ transport?: string }>(["status", "-w", devdev.mountPoint]);
      refuse(options, transport, found.transport);
      const directory = join(devdev.mountPoint, "work");
      await must(worker.identity.wrap(["mkdir", directory]));
      return { directory, devdev, [Symbol.asyncDispose]: end };
    } catch (error) {
      await end();
      throw error;
    }
  };
  return { about: `\`devdev mount ${options}\``.replace(" `", "`"), start };
}

/** A program that mounts at the path that stands for {} in its command line. */
export function command(line: string, transport?: Transport): Start {
  const start = async (worker: Worker): Promise<Running> => {
    const at = fresh("command");
    const child = spawn("sh", ["-c", line.replaceAll("{}", at)], {
      detached: true,
      stdio: "ignore",
    });
    const ended = once(child, "exit");
    const end = async (): Promise<void> => {
      await run(["umount", at], { timeoutMs: 30_000 });
      await clearMounts(at);
      const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    };
    try {
      await until(`mount of ${line}`, () => mountAt(at) !== undefined);
      const directory = await worker.own(join(at, "work"));
      if (transport) refuse(line, transport, await transportOf(child.pid!));
      return { directory, [Symbol.asyncDispose]: end };
    } catch (error) {
      await end();
      throw error;
    }
  };
  return { about: `\`${line.replace(/^\S*\//, "")}\``, start };
}

/** By the rings that its processes hold. */
async function transportOf(group: number): Promise<Transport> {
  const { stdout } = await run(["pgrep", "-g", String(group)]);
  const pids = stdout.trim().split("\n");
  const rings = pids.some((pid) =>
    readdirSync(`/proc/${pid}/fd`).some((fd) => target(`/proc/${pid}/fd/${fd}`).includes("uring")),
  );
  return rings ? "io_uring" : "classic";
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return ""; // closed meanwhile
  }
}

function refuse(what: string, said: Transport | undefined, is: string | undefined): void {
  if (said !== undefined && is !== said) {
    throw new Error(`bench: '${what}' runs over ${is}, not over ${said} as its name says`);
  }
}

let made = 0;

function fresh(name: string): string {
  const at = join(base(), `${name}-${++made}`);
  mkdirSync(at);
  return at;
}
