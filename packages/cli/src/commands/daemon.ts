// devdev daemon start | stop | status | logs.

import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connectDaemon, openFrame, startDaemon } from "@devdev/client";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import { dataPaths, FrameDecoder, FrameType, jsonPayload, STREAM_PREAMBLE } from "@devdev/protocol";
import { Interrupted } from "../failure.js";
import { duration, line, printJson, size } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

const STOPPED_LIMIT_MS = 65_000;

export async function start(options: GlobalOptions): Promise<void> {
  const running = await isRunning();
  if (!running) await startDaemon();
  using session = await Session.open(options, { start: false });
  const status = await session.call("daemon/status", {});
  if (options.json) return printJson({ ...status, started: !running });
  line(
    running
      ? `the daemon is running already (pid ${status.pid})`
      : `daemon started (pid ${status.pid})`,
  );
}

async function isRunning(): Promise<boolean> {
  try {
    (await connectDaemon(STREAM_PREAMBLE, { start: false })).destroy();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_NO_DAEMON") return false;
    throw error;
  }
}

export async function stop(options: GlobalOptions): Promise<void> {
  using session = await Session.open(options, { start: false, anyVersion: true });
  const { pid } = await session.call("hello", { version: "", protocol: 0 });
  const { workspaces } = await session.call("daemon/stop", {});
  await ended(pid);
  if (options.json) return printJson({ pid, workspaces });
  line(`daemon stopped (${workspaces} ${workspaces === 1 ? "workspace" : "workspaces"} unmounted)`);
}

// The answer comes when everything is durable and unmounted; the process ends a moment later.
async function ended(pid: number): Promise<void> {
  const deadline = Date.now() + STOPPED_LIMIT_MS;
  while (Date.now() < deadline) {
    if (!runs(pid)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new DevdevError("ETIMEDOUT", `the daemon (pid ${pid}) does not end`, {
    hint: `see ${dataPaths().logDir}, then kill it`,
  });
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie has ended; only whoever started it does not know yet.
    return process.platform !== "linux" || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

export async function status(options: GlobalOptions): Promise<void> {
  using session = await Session.open(options, { start: false, anyVersion: true });
  const s = await session.call("daemon/status", {});
  if (options.json) return printJson(s);
  line(`pid        ${s.pid}`);
  line(`version    ${s.version} (protocol ${s.protocol})`);
  line(`uptime     ${duration(s.uptimeMs)}`);
  line(`memory     ${size(s.memory.rss)}`);
  line(`home       ${s.home}`);
  line(`socket     ${s.socket}`);
  line(`workspaces ${s.workspaces.length}`);
  for (const w of s.workspaces) {
    const otherwise = w.interrupted ? "(interrupted)" : "(not mounted)";
    line(`           ${w.name} ${w.mountPoint ?? otherwise}`);
  }
}

export async function logs(
  options: GlobalOptions & { lines: number; follow?: boolean },
): Promise<void> {
  const socket = await connectDaemon(STREAM_PREAMBLE, { start: false }).catch(withoutDaemon);
  const { lines, follow = false } = options;
  socket.write(openFrame({ kind: "logs", lines, follow }));
  let interrupted = false;
  process.once("SIGINT", () => {
    interrupted = true;
    socket.destroy();
  });
  try {
    await printFrames(socket, options.json ? (text) => text : forPeople);
  } catch (error) {
    throw interrupted ? new Interrupted() : error;
  }
}

// Of all things it may be wanted because the daemon is gone.
function withoutDaemon(error: Error & { code?: string }): never {
  if (error.code !== "ERR_NO_DAEMON") throw error;
  throw new DevdevError(error.code, error.message, {
    hint: `what the last one logged is in ${dataPaths().logDir}`,
  });
}

async function printFrames(socket: Socket, shown: (line: string) => string): Promise<void> {
  const decoder = new FrameDecoder();
  for await (const chunk of socket) {
    for (const frame of decoder.push(chunk as Buffer)) {
      if (frame.type === FrameType.error) throw errorFromPlain(jsonPayload(frame) as PlainError);
      process.stdout.write(shown(frame.payload.toString()));
    }
  }
}

const LEVELS: Record<number, string> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO",
  40: "WARN",
  50: "ERROR",
  60: "FATAL",
};

function forPeople(text: string): string {
  try {
    const { time, level, pid: _, msg, ...rest } = JSON.parse(text) as Record<string, unknown>;
    const fields = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : "";
    return `${new Date(time as number).toISOString()} ${LEVELS[level as number] ?? String(level)} ${String(msg)}${fields}\n`;
  } catch {
    return text; // A line that is not ours, such as a crash report: as it is.
  }
}
