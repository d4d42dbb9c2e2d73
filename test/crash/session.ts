// What one iteration of the crash loop can do with the daemon: start it, let agents work on the
// mount, snapshot, restore, kill it, and look at what is left.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT } from "../harness/base.ts";
import type { Devdev } from "../harness/devdev.ts";
import { isAlive, processesOf } from "../harness/processes.ts";
import { describe, must, run, type RunResult, until } from "../harness/run.ts";
import type { Verdict } from "./agent.ts";

export interface KnownSnapshot {
  id: string;
  name: string;
  generation: number;
}

export class CrashSession {
  readonly devdev: Devdev;
  readonly journal: string;
  daemon = 0;
  /** Since the last mount. */
  killed = false;
  #writer: ChildProcess | undefined;

  constructor(devdev: Devdev) {
    this.devdev = devdev;
    this.journal = join(devdev.directory, "journal");
    devdev.lenient = true;
  }

  /** Mounts (which starts a daemon); returns how long that took. */
  async mount(...options: string[]): Promise<number> {
    const arguments_ = ["mount", ...options, this.devdev.mountPoint];
    const result = await this.devdev.ok(arguments_, { timeoutMs: 60_000 });
    this.daemon = findDaemon(this.devdev);
    this.killed = false;
    return result.durationMs;
  }

  #command(...args: string[]): string[] {
    const { checkout } = this.devdev.identity;
    const node = process.execPath.replace(CHECKOUT, checkout);
    return this.devdev.identity.wrap([node, join(checkout, "test/crash/agent.ts"), ...args]);
  }

  agent(verb: string, directory: string, ...args: (string | number)[]): Promise<RunResult> {
    const command = this.#command(verb, directory, ...args.map(String));
    return run(command, { env: this.devdev.env, timeoutMs: 60_000 });
  }

  async verify(directory = this.devdev.mountPoint): Promise<Verdict> {
    const result = await this.agent("verify", directory);
    if (result.code !== 0) throw new Error(describe(result));
    return JSON.parse(result.stdout) as Verdict;
  }

  /** Starts it with a new journal. */
  startWriter(verb: "writer" | "synced" = "writer"): void {
    rmSync(this.journal, { force: true });
    const [file, ...args] = this.#command(verb, this.devdev.mountPoint, this.journal);
    this.#writer = spawn(file!, args, { cwd: "/", env: this.devdev.env, stdio: "ignore" });
  }

  /** Ends the writer; it may wait in a dead mount, so that this is not waited for. */
  stopWriter(): void {
    this.#writer?.kill("SIGKILL");
    this.#writer = undefined;
  }

  /** Waits until the writer is at work. */
  async writing(): Promise<void> {
    await until("the writer", () => this.journalEntries().length > 0, 60_000);
  }

  /** Number and time of each operation of the last writer. */
  journalEntries(): [number, number][] {
    if (!existsSync(this.journal)) return [];
    const lines = readFileSync(this.journal, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => line.split(" ").map(Number) as [number, number]);
  }

  /** Kills the daemon; it may have ended by itself. */
  kill(): void {
    this.killed = true;
    try {
      process.kill(this.daemon, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /**
   * A new daemon, which ends itself in some phase; false when it did so while mounting. `between`
   * has the store to itself.
   */
  async mountWithFault(fault: string, between?: (store: string) => void): Promise<boolean> {
    await this.devdev.ok(["daemon", "stop"]);
    between?.(join(this.devdev.home, "store"));
    const options = { timeoutMs: 60_000, env: { DEVDEV_FAULT: fault } };
    const result = await this.devdev.cli(["mount", this.devdev.mountPoint], options);
    if (result.code === 0) this.daemon = findDaemon(this.devdev);
    return result.code === 0;
  }

  get alive(): boolean {
    return isAlive(this.daemon);
  }

  /** Until the killed daemon is no more; it may linger while a thread of it waits. */
  async gone(): Promise<void> {
    await until("the end of the killed daemon", () => !isAlive(this.daemon), 60_000);
  }

  /**
   * The snapshot, when it was acknowledged by the daemon that is to be killed. A command that comes
   * after the kill starts another one, and that has only what was recovered.
   */
  async snapshot(name: string, generation: number): Promise<KnownSnapshot | undefined> {
    const result = await this.devdev.cli([
      "snapshot",
      "-w",
      this.devdev.mountPoint,
      "--name",
      name,
      "--json",
    ]);
    if (result.code !== 0 || findDaemon(this.devdev) !== this.daemon) return undefined;
    const { id } = JSON.parse(result.stdout) as { id: string };
    return { id, name, generation };
  }

  /** Whether the daemon that is to be killed has acknowledged the fork. */
  async fork(name: string, { name: from }: KnownSnapshot): Promise<boolean> {
    const at = ["fork", "-w", this.devdev.mountPoint, "--from", from, name];
    return (await this.devdev.cli(at)).code === 0 && findDaemon(this.devdev) === this.daemon;
  }

  /** What a fork shows, which is mounted for it. */
  async verifyFork(name: string): Promise<Verdict> {
    const directory = `${this.devdev.mountPoint}-fork`;
    await this.devdev.ok(["mount", "--name", name, directory]);
    const verdict = await this.verify(directory);
    await this.devdev.ok(["unmount", directory]);
    return verdict;
  }

  async restore(snapshot: KnownSnapshot): Promise<RunResult> {
    return this.devdev.cli(["restore", "-w", this.devdev.mountPoint, snapshot.name]);
  }

  /** That every state of the store is whole, as the daemon finds. */
  async checkPages(): Promise<void> {
    const { stdout } = await this.devdev.cli(["doctor", "--json"]);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean }[] };
    if (!checks.find(({ name }) => name === "store")?.ok) throw new Error(`doctor: ${stdout}`);
  }

  /**
   * SQLite's own check, on a copy: opening the store itself would already repair it. A command that
   * came after the kill may have started a daemon, which has done that.
   */
  async checkStore(): Promise<void> {
    if ((await this.devdev.cli(["daemon", "status"])).code === 0) {
      await this.devdev.ok(["daemon", "stop"]);
    }
    const store = join(this.devdev.home, "store");
    const copy = join(this.devdev.directory, "store-copy");
    await must(["rm", "-rf", copy]);
    await must(["cp", "-r", store, copy]);
    const file = join(copy, "devdev.sqlite");
    const result = await must([
      "sqlite3",
      file,
      "PRAGMA integrity_check; PRAGMA foreign_key_check",
    ]);
    await must(["rm", "-rf", copy]);
    if (result.stdout.trim() !== "ok") throw new Error(`integrity_check: ${result.stdout}`);
  }
}

/** The process that serves: the one that holds our home and is no helper and no command line. */
function findDaemon(devdev: Devdev): number {
  const pidFile = join(devdev.home, "run", "daemon.pid");
  if (existsSync(pidFile)) return Number.parseInt(readFileSync(pidFile, "utf8"), 10);
  const found = processesOf(devdev.home).filter(({ command }) => /daemon/.test(command));
  const serving = found.find(({ command }) => !command.includes("devdev-helper"));
  if (serving === undefined) throw new Error("no daemon runs after a mount");
  return serving.pid;
}
