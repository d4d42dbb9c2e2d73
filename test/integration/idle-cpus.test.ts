// Idle CPUs that would halt are kept awake while a snapshot goes from thread to thread, though the
// mount gets no requests. While it gets many, its workers give way to their clients.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { DoctorCheck } from "@devdev/protocol";
import { expect, test } from "vitest";
import { argvOf, childrenOf } from "../harness/processes.ts";
import { sleep, until } from "../harness/run.ts";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

/** Root's daemon asks the kernel, that of others has a process spin. */
function keepsAwake(pid: number): boolean {
  const target = (fd: string): string => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ""; // closed meanwhile
    }
  };
  const asks = readdirSync(`/proc/${pid}/fd`).some((fd) => target(fd) === "/dev/cpu_dma_latency");
  return asks || childrenOf(pid).some((child) => argvOf(child).includes("awake"));
}

const SCHED_IDLE = 5;

/** The threads that give way to all others (sched(7)). */
function givingWay(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
      // "pid (name) state ...", of which the policy is the 41st (proc_pid_stat(5)).
      const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8");
      const [name, rest] = stat.slice(stat.indexOf("(") + 1).split(") ");
      return Number(rest!.split(" ")[41 - 3]) === SCHED_IDLE ? [name!] : [];
    } catch {
      return []; // ended meanwhile
    }
  });
}

/** Looks at something every few milliseconds for as long as the work takes. */
async function during(work: Promise<unknown>, look: () => void): Promise<void> {
  const state = { over: false };
  const looking = (async () => {
    while (!state.over) {
      look();
      await sleep(1);
    }
  })();
  await Promise.all([work.finally(() => (state.over = true)), looking]);
}

forEachIdentity("idle CPUs", (who) => {
  const devdev = useDevdev(who, "idle-cpus");

  /** Whether they are kept awake on this machine, which doctor knows. */
  async function areKeptAwake(): Promise<boolean> {
    const { checks } = await devdev().json<{ checks: DoctorCheck[] }>(["doctor"]);
    return checks.find(({ name }) => name === "idle CPUs")!.detail.startsWith("kept awake");
  }

  test("stay awake during a snapshot and a restore, and halt again after it", async () => {
    const kept = await areKeptAwake();
    const pid = await devdev().daemonPid();
    const rest = async (): Promise<boolean> => {
      const seen = keepsAwake(pid);
      await sleep(100);
      return !seen && !keepsAwake(pid);
    };
    for (const work of [["snapshot"], ["restore", "#1"]]) {
      await until("idle CPUs may halt", rest, 60_000);
      const state = { seen: false };
      for (let n = 0; n < 50 && !state.seen; n++) {
        await during(devdev().ok([...work, "-w", "ws"]), () => (state.seen ||= keepsAwake(pid)));
      }
      expect({ work, ...state }).toEqual({ work, seen: kept });
    }
    await until("idle CPUs may halt", rest, 60_000);
  });

  test("workers give way while requests come, and no longer", async () => {
    const kept = await areKeptAwake();
    const pid = await devdev().daemonPid();
    const script = "for n in $(seq 3000); do echo $n >file; rm file; done";
    const seen = new Set<string>();
    await during(devdev().ok(["exec", "-w", "ws", "--", "sh", "-euc", script]), () =>
      givingWay(pid).forEach((name) => seen.add(name)),
    );
    const workers = [...seen].filter((name) => /^devdev-(fuse|ring|parked)$/.test(name));
    expect([...seen]).toEqual(workers);
    // Others could not take it back.
    expect(workers.length > 0).toBe(kept && devdev().identity.uid === 0);
    await until("they run as others do", () => givingWay(pid).length === 0, 60_000);
  });
});
