// The commands of one workspace or daemon, with what they left in the background: what a restore
// lists, pauses or ends. Separate from SpawnedProcess, which ends with its command.
import type { ExecRecord } from "@devdev/protocol";

import type { CgroupHome } from "./cgroup.js";
import { LaunchError } from "./launch-error.js";
import { type Pause, pause } from "./pause.js";
import type { ProcessGroup } from "./process-group.js";
import { type SpawnedProcess, spawnProcess, type SpawnOptions } from "./spawned-process.js";

export interface ExecutorOptions {
  helperPath: string;
  /** Where commands get a cgroup each (`CgroupHome.open()`); without it they have none. */
  cgroups?: CgroupHome | undefined;
}

interface Entry {
  group: ProcessGroup;
  command: string;
  startedAt: number;
}

export class Executor {
  readonly #helperPath: string;
  readonly #entries = new Set<Entry>();
  #cgroups: CgroupHome | undefined;

  constructor(options: ExecutorOptions) {
    this.#helperPath = options.helperPath;
    this.#cgroups = options.cgroups;
  }

  async spawn(options: Omit<SpawnOptions, "helperPath" | "cgroup">): Promise<SpawnedProcess> {
    const process = await this.#spawn(options);
    const command = options.argv.map((part) => Buffer.from(part as string).toString()).join(" ");
    const entry: Entry = { group: process.group, command, startedAt: Date.now() };
    this.#entries.add(entry);
    const ended = () => this.#forget(entry);
    void process.ended.then(ended, ended);
    return process;
  }

  /** Every living process, of each command the command itself first if it still runs. */
  processes(): ExecRecord[] {
    const records: ExecRecord[] = [];
    for (const entry of this.#entries) {
      const { group, command, startedAt } = entry;
      for (const info of group.list()) {
        const name = info.pid === group.leader ? command : info.command;
        records.push({ pid: info.pid, command: name, startedAt });
      }
    }
    this.#forgetGone();
    return records;
  }

  /** Stops all of them: see Pause for what could not be stopped. */
  pause(options?: { deadlineMs?: number }): Promise<Pause> {
    return pause(
      [...this.#entries].map(({ group }) => group),
      options,
    );
  }

  /** Ends all of them: TERM, KILL after the grace time. */
  async terminate(graceMs: number): Promise<void> {
    await Promise.all([...this.#entries].map(({ group }) => group.terminate(graceMs)));
    this.#forgetGone();
  }

  async #spawn(options: Omit<SpawnOptions, "helperPath" | "cgroup">): Promise<SpawnedProcess> {
    const helperPath = this.#helperPath;
    const cgroup = this.#cgroups?.create();
    if (cgroup === undefined) return spawnProcess({ ...options, helperPath });
    try {
      return await spawnProcess({ ...options, helperPath, cgroup });
    } catch (error) {
      cgroup.remove();
      if (!(error instanceof LaunchError) || error.stage !== "cgroup") throw error;
      // Writable, and yet the kernel takes no process (a threaded or a full group): do without.
      this.#cgroups = undefined;
      return spawnProcess({ ...options, helperPath });
    }
  }

  #forgetGone(): void {
    for (const entry of this.#entries) this.#forget(entry);
  }

  #forget(entry: Entry): void {
    if (entry.group.release()) this.#entries.delete(entry);
  }
}
