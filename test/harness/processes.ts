// Finding the processes of a test: those whose environment or command line names its directory. It
// is how a daemon is found that no pid file tells of, and no other process is ever touched.

import { readdirSync, readFileSync } from "node:fs";
import { sleep } from "./run.ts";

export interface ProcessEntry {
  pid: number;
  command: string;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // gone, or not ours
  }
}

/** R, S, D, T, Z; empty when there is no such process. */
export function processState(pid: number): string {
  return /^State:\s+(\S)/m.exec(read(pid, "status"))?.[1] ?? "";
}

export function isAlive(pid: number): boolean {
  const state = processState(pid);
  return state !== "" && state !== "Z";
}

/** What a process was started with; empty when there is no such process. */
export function argvOf(pid: number): string[] {
  return read(pid, "cmdline").split("\0").slice(0, -1);
}

/** The processes that this one has started, those of its threads included. */
export function childrenOf(pid: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((other) => {
    const parent = /^PPid:\s+(\d+)/m.exec(read(other, "status"))?.[1];
    return Number(parent) === pid;
  });
}

/** Where a process names the directory of its run: what tests give it, and what runners have. */
const GIVEN = /^(DEVDEV_HOME|HOME|TMPDIR)=/;
const GIVEN_OR_OWN = /^(DEVDEV_HOME|HOME|TMPDIR|DEVDEV_TEST_BASE)=/;

/**
 * Processes that carry `directory` in DEVDEV_HOME, HOME, TMPDIR or their arguments; with `runners`
 * also those that run tests in it.
 */
export function processesOf(directory: string, runners = false): ProcessEntry[] {
  const variables = runners ? GIVEN_OR_OWN : GIVEN;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const found: ProcessEntry[] = [];
  for (const pid of pids.map(Number)) {
    if (pid === process.pid || pid === process.ppid) continue;
    const command = read(pid, "cmdline").replaceAll("\0", " ").trim();
    const environment = read(pid, "environ").split("\0");
    const names = environment.some((entry) =>
      variables.test(entry) ? entry.includes(directory) : false,
    );
    if ((names || command.includes(directory)) && isAlive(pid)) found.push({ pid, command });
  }
  return found;
}

/** Kills them; returns what was there. */
export async function endProcesses(directory: string, runners = false): Promise<string[]> {
  const found = processesOf(directory, runners);
  for (const { pid } of found) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Ended by itself.
    }
  }
  for (let i = 0; i < 50 && found.some(({ pid }) => isAlive(pid)); i++) await sleep(40);
  return found.map(({ pid, command }) => `process ${pid} (${command.slice(0, 120)})`);
}
