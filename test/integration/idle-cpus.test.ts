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

forEachIdentity("idle CPUs", (who) => {
  const devdev = useDevdev(who, "idle-cpus");

  test("stay awake during a snapshot and a restore, and halt again after it", async (context) => {
    const { checks } = await devdev().json<{ checks: DoctorCheck[] }>(["doctor"]);
    const { detail } = checks.find(({ name }) => name === "idle CPUs")!;
    if (!detail.startsWith("kept awake")) return context.skip(`idle CPUs: ${detail}`);
    const pid = await devdev().daemonPid();
    const rest = async (): Promise<boolean> => {
      const seen = keepsAwake(pid);
      await sleep(100);
      return !seen && !keepsAwake(pid);
    };
    for (const work of [["snapshot"], ["restore", "#1"]]) {
      await until("idle CPUs may halt", rest, 60_000);
      const state = { seen: false, over: false };
      const looking = (async () => {
        while (!state.over && !state.seen) {
          state.seen = keepsAwake(pid);
          await sleep(1);
        }
      })();
      for (let n = 0; n < 50 && !state.seen; n++) {
        await devdev().ok([...work, "-w", "ws"]);
      }
      state.over = true;
      await looking;
      expect({ work, seen: state.seen }).toEqual({ work, seen: true });
    }
    await until("idle CPUs may halt", rest, 60_000);
  });

  test("workers give way while requests come, and no longer", async (context) => {
    const { checks } = await devdev().json<{ checks: DoctorCheck[] }>(["doctor"]);
    const { detail } = checks.find(({ name }) => name === "idle CPUs")!;
    if (!detail.startsWith("kept awake")) return context.skip(`idle CPUs: ${detail}`);
    const pid = await devdev().daemonPid();
    const script = "for n in $(seq 3000); do echo $n >file; rm file; done";
    const seen = new Set<string>();
    const state = { over: false };
    const working = devdev().ok(["exec", "-w", "ws", "--", "sh", "-euc", script]);
    const looking = (async () => {
      while (!state.over) {
        givingWay(pid).forEach((name) => seen.add(name));
        await sleep(2);
      }
    })();
    await working;
    state.over = true;
    await looking;
    const workers = [...seen].filter((name) => /^devdev-(fuse|ring|parked)$/.test(name));
    expect([...seen]).toEqual(workers);
    // Others could not take it back.
    expect(workers.length > 0).toBe(devdev().identity.uid === 0);
    await until("they run as others do", () => givingWay(pid).length === 0, 60_000);
  });
});
