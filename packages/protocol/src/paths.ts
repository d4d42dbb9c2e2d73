// Where devdev keeps things: DEVDEV_HOME moves all of it. Shared because client and daemon must
// agree.

import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

export interface DataPaths {
  /** Everything that outlives a boot: store, logs. */
  home: string;
  storeFile: string;
  logDir: string;
  /** Sockets and pid files. */
  runDir: string;
  socket: string;
}

/** The paths for an environment (default: this process's). */
export function dataPaths(env: Record<string, string | undefined> = process.env): DataPaths {
  const moved = env["DEVDEV_HOME"];
  const home = moved || join(env["HOME"] || homedir(), ".devdev");
  const runDir = moved ? join(moved, "run") : runtimeDir(env);
  return {
    home,
    storeFile: join(home, "store", "devdev.sqlite"),
    logDir: join(home, "log"),
    runDir,
    socket: process.platform === "win32" ? pipeName(home) : socketPath(runDir),
  };
}

function runtimeDir(env: Record<string, string | undefined>): string {
  const xdg = env["XDG_RUNTIME_DIR"];
  if (xdg) return join(xdg, "devdev");
  return join(tmpdir(), `devdev-${process.getuid?.() ?? userInfo().username}`);
}

// A unix socket's path has at most 107 bytes: a deep DEVDEV_HOME gets a short name in the temp
// directory.
function socketPath(runDir: string): string {
  const path = join(runDir, "daemon.sock");
  if (Buffer.byteLength(path) <= 100) return path;
  return join(tmpdir(), `devdev-${process.getuid?.() ?? 0}-${shortHash(runDir)}.sock`);
}

function pipeName(home: string): string {
  return `\\\\.\\pipe\\devdev-${userInfo().username}-${shortHash(home)}`;
}

// FNV-1a, 64 bits: a name, not a secret.
function shortHash(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  }
  return hash.toString(36);
}
