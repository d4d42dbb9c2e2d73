// bin/devdev as a test uses it: one DEVDEV_HOME, one daemon and a mount point for each instance,
// for one identity, taken away at the end whatever happened.

import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { base } from "./base.ts";
import type { Identity } from "./identity.ts";
import { expectTransport, type Mounted, transportEnv } from "./io-uring.ts";
import { clearMounts } from "./mounts.ts";
import { endProcesses, processesOf } from "./processes.ts";
import { describe, must, run, type RunOptions, type RunResult, until } from "./run.ts";

export interface CliOptions extends Omit<RunOptions, "env"> {
  env?: Record<string, string>;
}

/** Whole suites can be run with writeback. */
export const writeback = process.env["DEVDEV_WRITEBACK"] === "1";

export class Devdev implements AsyncDisposable {
  readonly identity: Identity;
  /** A directory on the host that belongs to the identity; nothing of it is on a mount but `ws`. */
  readonly directory: string;
  readonly home: string;
  /** Where `mount()` mounts. */
  readonly mountPoint: string;
  readonly env: Record<string, string>;
  /** Whether a test may leave processes and mounts to the clean-up (crash tests do). */
  lenient = false;

  private constructor(identity: Identity, directory: string) {
    this.identity = identity;
    this.directory = directory;
    this.home = join(directory, "devdev-home");
    this.mountPoint = join(directory, "ws");
    // Whole suites can be run on either transport, too.
    this.env = {
      ...transportEnv(),
      ...(writeback && { DEVDEV_WRITEBACK: "1" }),
      PATH: identity.path,
      HOME: join(directory, "home"),
      USER: identity.user,
      LOGNAME: identity.user,
      LANG: "C.UTF-8",
      TERM: "dumb",
      DEVDEV_HOME: this.home,
    };
  }

  static async create(identity: Identity, name = "t"): Promise<Devdev> {
    const directory = mkdtempSync(join(base(), `${name}-${identity.name}-`));
    const devdev = new Devdev(identity, directory);
    mkdirSync(devdev.env["HOME"]!);
    await must(["chown", "-R", `${identity.uid}:${identity.gid}`, directory]);
    await must(["chmod", "0755", directory]);
    return devdev;
  }

  /** A host command as the identity. */
  host(argv: readonly string[], options: CliOptions = {}): Promise<RunResult> {
    const env = { ...this.env, ...options.env };
    const cwd = options.cwd ?? this.directory;
    return run(this.identity.wrap(argv), { ...options, env, cwd });
  }

  async mustHost(argv: readonly string[], options: CliOptions = {}): Promise<RunResult> {
    const result = await this.host(argv, options);
    if (result.code !== 0) throw new Error(describe(result));
    return result;
  }

  /** bin/devdev, with whatever it exits. */
  cli(args: readonly string[], options: CliOptions = {}): Promise<RunResult> {
    return this.host([join(this.identity.checkout, "bin/devdev"), ...args], options);
  }

  /** bin/devdev, which must succeed. */
  async ok(args: readonly string[], options: CliOptions = {}): Promise<RunResult> {
    const result = await this.cli(args, options);
    if (result.code !== 0) throw new Error(describe(result));
    return result;
  }

  async json<T>(args: readonly string[], options: CliOptions = {}): Promise<T> {
    const result = await this.ok([...args, "--json"], options);
    return JSON.parse(result.stdout) as T;
  }

  /** Over the transport of this run, if there is one: what is tested must not be another. */
  async mount(...args: string[]): Promise<string> {
    const mounted = await this.json<Mounted>(["mount", ...args, this.mountPoint]);
    expectTransport(mounted);
    return this.mountPoint;
  }

  /** A command in the workspace over pipes; it must succeed. */
  exec(
    argv: readonly string[],
    options: CliOptions & { flags?: string[] } = {},
  ): Promise<RunResult> {
    return this.ok(
      ["exec", "-w", this.mountPoint, "-T", ...(options.flags ?? []), "--", ...argv],
      options,
    );
  }

  /** A shell script in the workspace; it must succeed. */
  sh(script: string, options: CliOptions & { flags?: string[] } = {}): Promise<RunResult> {
    return this.exec(["sh", "-euc", script], options);
  }

  /** The daemon's pid: the process with our DEVDEV_HOME that is named in its own status. */
  async daemonPid(): Promise<number> {
    return (await this.json<{ pid: number }>(["daemon", "status"])).pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = existsSync(this.home)
      ? await this.cli(["daemon", "stop"], { timeoutMs: 30_000 })
      : undefined;
    // Helpers end by themselves when their daemon has: on a busy machine a moment later.
    const gone = (): boolean => processesOf(this.directory).length === 0;
    if (!this.lenient) await until("their end", gone, 10_000).catch(() => undefined);
    const processes = processesOf(this.directory).map(({ command }) => command);
    const mounts = await clearMounts(this.directory);
    await endProcesses(this.directory);
    if (this.lenient) return;
    const left = [...processes, ...mounts];
    if (left.length > 0) {
      const said = stopped === undefined ? "" : `\n${describe(stopped)}`;
      throw new Error(`left after 'daemon stop': ${left.join(", ")}${said}`);
    }
  }
}
