// The daemon's log: structured lines through pino into a rotated file, or to stderr in the
// foreground.
// In-process streams, no worker: what was logged before a crash is in the file.

import { createReadStream, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pino, { type Logger } from "pino";
import pretty from "pino-pretty";
import roll from "pino-roll";

export type { Logger } from "pino";

const FILE_BYTES = "8m";
const FILES_KEPT = 4;

/** Opens the log in `logDir`; in the foreground lines also go to stderr, made for people. */
export async function openLog(logDir: string, foreground: boolean): Promise<Logger> {
  const file = await roll({
    file: join(logDir, "daemon"),
    size: FILE_BYTES,
    limit: { count: FILES_KEPT, removeOtherLogFiles: true },
    mkdir: true,
    sync: true,
  });
  const streams: pino.StreamEntry[] = [{ stream: file }];
  if (foreground)
    streams.push({ stream: pretty({ destination: 2, colorize: process.stderr.isTTY }) });
  const level = process.env["DEVDEV_LOG_LEVEL"] ?? "info";
  return pino({ level, base: { pid: process.pid } }, pino.multistream(streams));
}

/** The log files of `logDir`, oldest first. */
export async function logFiles(logDir: string): Promise<string[]> {
  const names = await readdir(logDir).catch(() => []);
  const numbered = names.flatMap((name) => {
    const match = /^daemon\.(\d+)\.log$/.exec(name);
    return match ? [{ name, number: Number(match[1]) }] : [];
  });
  return numbered.toSorted((a, b) => a.number - b.number).map(({ name }) => join(logDir, name));
}

/** The last `count` lines of the log, oldest first. */
export async function lastLogLines(logDir: string, count: number): Promise<string[]> {
  const lines: string[] = [];
  for (const file of await logFiles(logDir)) {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      lines.push(line);
      if (lines.length > count) lines.shift();
    }
  }
  return lines;
}

/** Calls `emit` with each line written from now on, until the signal aborts. */
export async function followLog(
  logDir: string,
  emit: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let current = (await logFiles(logDir)).at(-1);
  let offset = current ? (await stat(current)).size : 0;
  let rest = "";
  const drain = async (): Promise<void> => {
    const newest = (await logFiles(logDir)).at(-1);
    for (const file of new Set([current, newest])) {
      if (!file) continue;
      if (file !== current) [current, offset] = [file, 0];
      for await (const chunk of createReadStream(file, { start: offset, encoding: "utf8" })) {
        offset += Buffer.byteLength(chunk as string);
        const lines = (rest + (chunk as string)).split("\n");
        rest = lines.pop() ?? "";
        lines.forEach(emit);
      }
    }
  };
  await new Promise<void>((resolve, reject) => {
    let running = Promise.resolve();
    const watcher = watch(logDir, () => {
      running = running.then(drain);
      running.catch(reject);
    });
    signal.addEventListener("abort", () => (watcher.close(), resolve()), { once: true });
  });
}
