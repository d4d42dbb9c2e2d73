// Where devdev keeps things: DEVDEV_HOME moves all of it. Shared because client and daemon must
// agree.

import { homedir, tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";

const LONGEST_SOCKET = 107;

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
  // The daemon has another working directory than its clients.
  const moved = env["DEVDEV_HOME"] && resolve(env["DEVDEV_HOME"]);
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
  return xdg ? join(xdg, "devdev") : sharedTemp();
}

// Not TMPDIR: clients with another one (in a command of `exec`, say) mean the same daemon.
function sharedTemp(): string {
  const uid = process.getuid?.();
  return uid === undefined ? join(tmpdir(), "devdev") : `/tmp/devdev-${uid}`;
}

// A unix socket's path has at most 107 bytes: that of a deep DEVDEV_HOME is elsewhere.
function socketPath(runDir: string): string {
  const path = join(runDir, "daemon.sock");
  if (Buffer.byteLength(path) <= LONGEST_SOCKET) return path;
  return join(sharedTemp(), `${shortHash(runDir)}.sock`);
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
