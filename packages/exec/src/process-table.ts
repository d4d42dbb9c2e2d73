// Processes as /proc shows them. Only `stat` is read: cmdline and maps take the memory lock of the
// process, which one that waits on a mount may hold.
import fs from "node:fs";

export interface ProcessInfo {
  pid: number;
  ppid: number;
  /** Process group. */
  pgid: number;
  /** Session. */
  sid: number;
  /** One letter: R, S, D, T (stopped), Z and so on. */
  state: string;
  /** Clock ticks between boot and its start: with the pid it names a process for good. */
  startTime: number;
  /** The kernel's short name, at most 15 bytes. */
  command: string;
}

/** One process, or undefined if it is gone. */
export function readProcess(pid: number): ProcessInfo | undefined {
  try {
    return parseStat(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** All processes that can be seen. */
export function readProcesses(): ProcessInfo[] {
  const pids = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => readProcess(Number(pid)) ?? []);
}

/** Parses proc(5) stat. The name may hold spaces and parentheses: its end is the last one. */
export function parseStat(line: string): ProcessInfo {
  const open = line.indexOf("(");
  const close = line.lastIndexOf(")");
  const rest = line.slice(close + 2).split(" ");
  const number = (field: number): number => Number(rest[field - 3]);
  return {
    pid: Number(line.slice(0, open)),
    command: line.slice(open + 1, close),
    state: rest[0] ?? "?",
    ppid: number(4),
    pgid: number(5),
    sid: number(6),
    startTime: number(22),
  };
}

/** Neither a zombie nor dead. */
export function isAlive(info: ProcessInfo): boolean {
  return info.state !== "Z" && info.state !== "X";
}

/** Stopped by a signal or a tracer. */
export function isStopped(info: ProcessInfo): boolean {
  return info.state === "T" || info.state === "t";
}
