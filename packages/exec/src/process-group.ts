// All processes of one command: who they are, signals to them, their end. A command leads its own
// session; where it has a cgroup that is exact, else membership is session, process group and
// descent. A process that leaves all three between two looks (a double fork and a setsid, without a
// cgroup) is no longer known. No marker variable is used: nothing may leak into the environment.
import { setTimeout as sleep } from "node:timers/promises";

import type { Cgroup } from "./cgroup.js";
import { isAlive, type ProcessInfo, readProcess, readProcesses } from "./process-table.js";

const POLL_MS = 10;
/** What does not die of SIGKILL within this time waits in the kernel. */
const KILL_DEADLINE_MS = 2000;

export class ProcessGroup {
  /** The command itself: session leader and leader of its process group. */
  readonly leader: number;
  readonly cgroup: Cgroup | undefined;
  /**
   * Sessions of the command, with the start time of their leaders where that is known. A number is
   * not reused while a process belongs to the session; a leader with another start time is foreign.
   */
  readonly #sessions = new Map<number, number | undefined>();
  #gone = false;

  constructor(leader: number, cgroup?: Cgroup) {
    this.leader = leader;
    this.cgroup = cgroup;
    this.#sessions.set(leader, readProcess(leader)?.startTime);
  }

  /** The living processes, the leader first if it lives. */
  list(): ProcessInfo[] {
    if (this.#gone) return [];
    const found = this.cgroup ? this.#inCgroup(this.cgroup) : this.#inSessions();
    const alive = found.filter(isAlive);
    if (alive.length === 0 && this.cgroup === undefined) {
      // An unreaped leader still keeps the number.
      this.#gone = readProcess(this.leader) === undefined;
    }
    return alive.sort((a, b) => Number(b.pid === this.leader) - Number(a.pid === this.leader));
  }

  /** Sends a signal to the process group of the command; 0 only asks. False if there is none. */
  signal(signal: NodeJS.Signals | number): boolean {
    return !this.#gone && send(-this.leader, signal);
  }

  /** TERM to every process, KILL to those that are left after the grace time. */
  async terminate(graceMs: number): Promise<void> {
    for (const { pid } of this.list()) {
      send(pid, "SIGTERM");
      // A stopped process takes SIGTERM only when it goes on.
      send(pid, "SIGCONT");
    }
    const deadline = Date.now() + graceMs;
    while (this.list().length > 0 && Date.now() < deadline) await sleep(POLL_MS);
    await this.kill();
  }

  /** KILL to every process, until none is left. */
  async kill(): Promise<void> {
    const deadline = Date.now() + KILL_DEADLINE_MS;
    for (let left = this.list(); left.length > 0; left = this.list()) {
      if (this.cgroup) this.cgroup.kill();
      else for (const { pid } of left) send(pid, "SIGKILL");
      if (Date.now() >= deadline) return;
      await sleep(POLL_MS);
    }
  }

  /** Gives up the cgroup of a group without processes; false while something runs. */
  release(): boolean {
    if (this.cgroup) return this.cgroup.remove();
    return this.list().length === 0;
  }

  #inCgroup(cgroup: Cgroup): ProcessInfo[] {
    try {
      return cgroup.pids().flatMap((pid) => readProcess(pid) ?? []);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      this.#gone = true;
      return [];
    }
  }

  #inSessions(): ProcessInfo[] {
    const all = readProcesses();
    for (const { pid, startTime } of all) {
      const known = this.#sessions.get(pid);
      if (known !== undefined && known !== startTime) this.#sessions.delete(pid);
    }
    const children = Map.groupBy(all, (info) => info.ppid);
    const members = new Map<number, ProcessInfo>();
    const visit = (info: ProcessInfo) => {
      if (members.has(info.pid)) return;
      members.set(info.pid, info);
      if (info.sid === info.pid) this.#sessions.set(info.sid, info.startTime);
      for (const child of children.get(info.pid) ?? []) visit(child);
    };
    for (const info of all) {
      if (this.#sessions.has(info.sid) || this.#sessions.has(info.pgid)) visit(info);
    }
    return [...members.values()];
  }
}

/** kill(2); false if there is no such process, or it became another user's. */
export function send(pid: number, signal: NodeJS.Signals | number): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH" || code === "EPERM") return false;
    throw error;
  }
}
