// Stopping all processes of some commands while the tree under them is replaced, and letting them
// go on. Separate from ProcessGroup because it is one act over many groups with one deadline.
import { setTimeout as sleep } from "node:timers/promises";

import { send, type ProcessGroup } from "./process-group.js";
import { isStopped, type ProcessInfo } from "./process-table.js";

const DEFAULT_DEADLINE_MS = 2000;
const POLL_MS = 2;

export interface Pause {
  /** What could not be stopped in time: it waits in the kernel and goes on when its wait ends. */
  readonly running: ProcessInfo[];
  /** Lets everything go on that the pause has stopped. */
  resume(): void;
}

/** Stops every process of the groups; does not throw for what ends meanwhile. */
export async function pause(
  groups: readonly ProcessGroup[],
  options: { deadlineMs?: number } = {},
): Promise<Pause> {
  const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  const pauses = await Promise.all(groups.map((group) => pauseGroup(group, deadlineMs)));
  return {
    running: pauses.flatMap(({ running }) => running),
    resume: () => pauses.forEach((each) => each.resume()),
  };
}

async function pauseGroup(group: ProcessGroup, deadlineMs: number): Promise<Pause> {
  const { cgroup } = group;
  if (cgroup === undefined) return stopGroup(group, deadlineMs);
  try {
    const frozen = await cgroup.freeze(Date.now() + deadlineMs);
    if (frozen) return { running: [], resume: () => thaw(group) };
  } catch (error) {
    if (isGone(error)) return { running: [], resume: () => {} };
    throw error;
  }
  // A request that is parked never freezes. SIGSTOP holds at least all the others.
  return stopGroup(group, deadlineMs);
}

function thaw(group: ProcessGroup): void {
  try {
    group.cgroup?.thaw();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The cgroup was removed, for its last process has ended. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENODEV";
}

/**
 * SIGSTOP, the session leader first: a shell with job control would take a stopped child for ^Z.
 * Looks again until two looks find nobody running, for a fork may slip between.
 */
async function stopGroup(group: ProcessGroup, deadlineMs: number): Promise<Pause> {
  const deadline = Date.now() + deadlineMs;
  const before = new Set(
    group
      .list()
      .filter(isStopped)
      .map(({ pid }) => pid),
  );
  const stopped = new Set<number>();
  let running: ProcessInfo[] = [];
  for (let quiet = 0; quiet < 2 && Date.now() < deadline;) {
    const members = group.list();
    running = members.filter((info) => !isStopped(info));
    quiet = running.length === 0 ? quiet + 1 : 0;
    for (const { pid, state } of running) {
      // A parent in vfork waits for its child's exec and cannot stop before: let the child get
      // there.
      const waits = stopped.has(pid) && state === "D";
      if (waits) continueAll(members.filter((info) => info.ppid === pid && stopped.has(info.pid)));
      if (send(pid, "SIGSTOP")) stopped.add(pid);
    }
    await sleep(POLL_MS);
  }
  const resume = () => {
    // The leader last, so that it finds its children running.
    const pids = [...stopped].filter((pid) => !before.has(pid)).toReversed();
    for (const pid of pids) send(pid, "SIGCONT");
  };
  return { running, resume };
}

function continueAll(processes: readonly ProcessInfo[]): void {
  for (const { pid } of processes) send(pid, "SIGCONT");
}
