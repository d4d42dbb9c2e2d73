// Finding the processes of a test: those whose environment or command line names its directory. It
// is how a daemon is found that no pid file tells of, and no other process is ever touched.

import { readdirSync, readFileSync } from "node:fs";
import { BASE_VARIABLE } from "./base.ts";
import { sleep } from "./run.ts";

export interface ProcessEntry {
  pid: number;
  command: string;
}

function pids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
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
  return pids().filter((other) => {
    const parent = /^PPid:\s+(\d+)/m.exec(read(other, "status"))?.[1];
    return Number(parent) === pid;
  });
}

/** The processes of a group but for its leader. */
export function followersOf(leader: number): number[] {
  return pids().filter((pid) => {
    const group = /^NSpgid:\s+(\d+)/m.exec(read(pid, "status"))?.[1];
    return pid !== leader && Number(group) === leader;
  });
}

/** Where a process that a test has started names its directory. */
const GIVEN = ["DEVDEV_HOME", "HOME", "TMPDIR"];

/**
 * Processes that carry `directory` in DEVDEV_HOME, HOME, TMPDIR or their arguments; with `runners`
 * also those that run tests in it.
 */
export function processesOf(directory: string, runners = false): ProcessEntry[] {
  const variables = runners ? [...GIVEN, BASE_VARIABLE] : GIVEN;
  const found: ProcessEntry[] = [];
  for (const pid of pids()) {
    if (pid === process.pid || pid === process.ppid) continue;
    const command = read(pid, "cmdline").replaceAll("\0", " ").trim();
    const environment = read(pid, "environ").split("\0");
    const names = environment.some((entry) =>
      variables.includes(entry.split("=", 1)[0]!) ? entry.includes(directory) : false,
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
