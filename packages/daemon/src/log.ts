// The daemon's log: structured lines through pino into a rotated file, or to stderr in the
// foreground.
// In-process streams, no worker: what was logged before a crash is in the file.

import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "@devdev/workspace";
import pino, { type Logger } from "pino";
import pretty from "pino-pretty";
import roll from "pino-roll";

export type { Logger } from "pino";

const FILE_BYTES = "8m";
const FILES_KEPT = 4;
/** What is kept in memory while the disk takes nothing; newer lines are lost. */
const WAITING_BYTES = 1 << 20;

/** Opens the log in `logDir`; in the foreground lines also go to stderr, made for people. */
export async function openLog(logDir: string, foreground: boolean): Promise<Logger> {
  await closeToOthers(logDir);
  const file = await roll({
    file: join(logDir, "daemon"),
    size: FILE_BYTES,
    limit: { count: FILES_KEPT, removeOtherLogFiles: true },
    sync: true,
    mode: 0o600,
    maxLength: WAITING_BYTES,
  });
  // A disk that is full delays lines or loses them; it never fails what they tell of. Without a
  // listener the write throws, and with it every request and the daemon's stop.
  file.on("error", () => {});
  const streams: pino.StreamEntry[] = [{ stream: file }];
  if (foreground)
    streams.push({ stream: pretty({ destination: 2, colorize: process.stderr.isTTY }) });
  const level = process.env["DEVDEV_LOG_LEVEL"] ?? "info";
  return pino({ level, base: { pid: process.pid } }, pino.multistream(streams));
}

/** It names paths and commands: also where an older version, or another umask, left it open. */
async function closeToOthers(logDir: string): Promise<void> {
  makeDirectory(logDir);
  await chmod(logDir, 0o700);
  const files = (await readdir(logDir)).filter((name) => name.endsWith(".log"));
  await Promise.all(files.map((name) => chmod(join(logDir, name), 0o600)));
}
