// Control groups, version 2, where there is one that may be written: they hold every process of a
// command, also those that left its session, and freeze or kill them at once. Never required.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 2;

/** Where version 2 is mounted: on hybrid hosts it is below `unified/`. */
export function cgroupMount(mounts: string): string | undefined {
  const fields = mounts.split("\n").map((line) => line.split(" "));
  const mount = fields.find(([, , type]) => type === "cgroup2")?.[1];
  // proc(5): space, tab, backslash and newline are octal escapes.
  return mount?.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Our own group below that mount; undefined if it lies outside of what we see. */
export function ownCgroup(cgroups: string): string | undefined {
  const line = cgroups.split("\n").find((entry) => entry.startsWith("0::"));
  const group = line?.slice(3);
  return group === undefined || group.startsWith("/..") ? undefined : group;
}

/** The directory in which this process keeps the groups of its commands. */
export class CgroupHome {
  readonly dir: string;
  #next = 1;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Finds and makes one; undefined where that is not possible, for whatever reason. */
  static open(): CgroupHome | undefined {
    if (process.platform !== "linux") return undefined;
    try {
      const mount = cgroupMount(fs.readFileSync("/proc/self/mounts", "utf8"));
      const group = ownCgroup(fs.readFileSync("/proc/self/cgroup", "utf8"));
      if (mount === undefined || group === undefined) return undefined;
      const parent = path.join(mount, group);
      // Moving a process needs the common ancestor's file too.
      fs.accessSync(path.join(parent, "cgroup.procs"), fs.constants.W_OK);
      removeStale(parent);
      const home = makeHome(parent);
      fs.accessSync(path.join(home, "cgroup.freeze"), fs.constants.W_OK);
      return new CgroupHome(home);
    } catch {
      // Read-only, not ours, no freezer: process groups must do.
      return undefined;
    }
  }

  create(): Cgroup {
    const dir = path.join(this.dir, `exec-${this.#next++}`);
    fs.mkdirSync(dir);
    return new Cgroup(dir);
  }

  /** Removes it if no command is left; what is not empty stays for a later start to clear. */
  close(): void {
    removeIfEmpty(this.dir);
  }
}

/** One for each that is opened, also by several threads of a process. */
function makeHome(parent: string): string {
  for (let number = 1; ; number++) {
    const home = path.join(parent, `devdev-${process.pid}-${number}`);
    try {
      fs.mkdirSync(home);
      return home;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** Groups of daemons that are gone, as far as nothing runs in them. */
function removeStale(parent: string): void {
  for (const name of fs.readdirSync(parent)) {
    const pid = /^devdev-(\d+)-\d+$/.exec(name)?.[1];
    if (pid === undefined || fs.existsSync(`/proc/${pid}`)) continue;
    const home = path.join(parent, name);
    for (const { name: child } of fs.readdirSync(home, { withFileTypes: true })) {
      if (child.startsWith("exec-")) removeIfEmpty(path.join(home, child));
    }
    removeIfEmpty(home);
  }
}

function removeIfEmpty(dir: string): boolean {
  try {
    fs.rmdirSync(dir);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return true;
    if (code === "EBUSY" || code === "ENOTEMPTY") return false;
    throw error;
  }
}

/** The group of one command. */
export class Cgroup {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  get procsFile(): string {
    return path.join(this.dir, "cgroup.procs");
  }

  /** Its processes, those of groups that the command made below it included. */
  pids(dir = this.dir): number[] {
    const listed = fs.readFileSync(path.join(dir, "cgroup.procs"), "utf8");
    const own = listed.split("\n").filter(Boolean).map(Number);
    const below = fs.readdirSync(dir, { withFileTypes: true }).filter((e) => e.isDirectory());
    return [...own, ...below.flatMap((entry) => this.pids(path.join(dir, entry.name)))];
  }

  /** True when all have stopped; false, and running again, if the deadline came first. */
  async freeze(deadline: number): Promise<boolean> {
    this.#write("cgroup.freeze", "1");
    while (!this.#event("frozen")) {
      if (Date.now() >= deadline) {
        this.thaw();
        return false;
      }
      await sleep(POLL_MS);
    }
    return true;
  }

  thaw(): void {
    this.#write("cgroup.freeze", "0");
  }

  /** SIGKILL to all, also to what is forked meanwhile. */
  kill(): void {
    this.#write("cgroup.kill", "1");
  }

  /** False if something still runs in it. */
  remove(): boolean {
    return removeIfEmpty(this.dir);
  }

  #write(file: string, value: string): void {
    fs.writeFileSync(path.join(this.dir, file), value);
  }

  #event(name: string): boolean {
    const events = fs.readFileSync(path.join(this.dir, "cgroup.events"), "utf8");
    return events.split("\n").includes(`${name} 1`);
  }
}
