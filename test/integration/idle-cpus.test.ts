// Idle CPUs that would halt are kept awake while a snapshot goes from thread to thread, though the
// mount gets no requests.

import { readdirSync, readlinkSync } from "node:fs";
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
});
