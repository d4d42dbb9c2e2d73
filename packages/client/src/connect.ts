// Reaching the daemon: connect to its socket, start it when it is not there, say what to do when it
// is of another version.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, type Stats } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DevdevError, errorFromPlain, type PlainError } from "@devdev/errno";
import {
  type DataPaths,
  dataPaths,
  encodeJsonFrame,
  type Frame,
  FrameDecoder,
  FrameType,
  type Open,
  PROTOCOL_VERSION,
  VERSION,
} from "@devdev/protocol";

/** A daemon that does not answer within this time is not there. */
const START_LIMIT_MS = 20_000;

export interface ConnectOptions {
  /** Environment that decides where the daemon is (DEVDEV_HOME); default this process's. */
  env?: Record<string, string | undefined>;
  /** Start a daemon when none runs (default true); otherwise ERR_NO_DAEMON. */
  start?: boolean;
  /** Also talk to a daemon of another protocol version (to stop it). */
  anyVersion?: boolean;
}

/** A connection that has sent `preamble`. */
export async function connectDaemon(
  preamble: string,
  options: ConnectOptions = {},
): Promise<Socket> {
  const paths = dataPaths(options.env);
  let socket = await tryConnect(paths.socket);
  if (!socket) {
    if (options.start === false) {
      throw new DevdevError("ERR_NO_DAEMON", "no daemon is running", {
        hint: "start one with `devdev daemon start`",
      });
    }
    await startDaemon(options.env);
    socket = await tryConnect(paths.socket);
    if (!socket) throw new DevdevError("ERR_NO_DAEMON", `nothing listens on ${paths.socket}`);
  }
  socket.write(preamble);
  return socket;
}

/** The first frame of a stream connection. */
export function openFrame(open: Open): Buffer {
  const opener = { version: VERSION, protocol: PROTOCOL_VERSION };
  return encodeJsonFrame(FrameType.open, { ...opener, ...open });
}

/** Hands over each frame that comes. What cannot be understood ends the connection. */
export function receiveFrames(
  socket: Socket,
  handle: (frame: Frame) => void,
  fail: (error: unknown) => void,
): void {
  const decoder = new FrameDecoder();
  socket.on("data", (chunk) => {
    try {
      for (const frame of decoder.push(chunk)) handle(frame);
    } catch (error) {
      fail(error);
      socket.destroy();
    }
  });
  socket.on("error", fail);
}

/** What a call fails with whose connection was lost. */
export function daemonGone(doing = ""): DevdevError {
  return new DevdevError("ERR_DAEMON_GONE", `the daemon went away${doing}`, {
    hint: "see `devdev daemon logs`; the next command starts it again",
  });
}

async function tryConnect(path: string): Promise<Socket | undefined> {
  if (process.platform !== "win32") refuseForeign(dirname(path));
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return socket;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ENOTDIR", "ECONNREFUSED"].includes(code ?? "")) return undefined;
    throw new DevdevError(code ?? "ERR_CONNECT", `cannot connect to the daemon at ${path}`, {
      cause: error,
    });
  }
}

/** Undefined where nothing is, or nothing can be: then the daemon that is started says why. */
function statsOf(directory: string): Stats | undefined {
  try {
    return lstatSync(directory);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as { code: string }).code)) return undefined;
    throw new DevdevError("ERR_RUNTIME_DIR", `${directory} cannot be used`, {
      cause: error,
      hint: "set DEVDEV_HOME to a directory of your own",
    });
  }
}

// Whoever made the directory answers on the socket, and would be sent commands and variables.
function refuseForeign(directory: string): void {
  const stats = statsOf(directory);
  if (!stats || (stats.isDirectory() && stats.uid === process.getuid?.())) return;
  throw new DevdevError("ERR_RUNTIME_DIR", `${directory} does not belong to this user`, {
    hint: "remove it, or set DEVDEV_HOME to a directory of your own",
  });
}

/**
 * Starts a detached daemon and waits until it listens; one that another client starts meanwhile
 * will do.
 */
export async function startDaemon(
  env: Record<string, string | undefined> = process.env,
): Promise<void> {
  const paths = dataPaths(env);
  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    const failure = await launch(env, deadline);
    if (!failure) return;
    const other =
      failure.code === "ERR_LOCKED"
        ? await waitForSocket(paths, Math.min(deadline, Date.now() + 5000))
        : false;
    if (other) return;
    // The one that held the lock may have been about to stop.
    if (failure.code !== "ERR_LOCKED" || Date.now() > deadline) throw failure;
  }
}

async function launch(
  env: Record<string, string | undefined>,
  deadline: number,
): Promise<(Error & { code?: string }) | undefined> {
  const child = spawn(daemonLauncher(env), ["__daemon"], {
    cwd: "/",
    detached: true,
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  // A launcher that cannot be run ends with an error instead.
  const exit = once(child, "exit").then(
    ([code, signal]) => (signal ? `${signal} ended it` : `it exited with code ${String(code)}`),
    String,
  );
  const timer = setTimeout(() => child.stdout.destroy(), Math.max(0, deadline - Date.now()));
  let text = "";
  try {
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      if (text.includes("\n")) break;
    }
  } catch {
    // Destroyed by the timer: told below as not having started.
  }
  clearTimeout(timer);
  child.stdout.destroy();
  const line = text.split("\n", 1)[0] ?? "";
  // Not before: with nothing left to wait for, this process would end here without a word.
  const how =
    line === "" && Date.now() < deadline
      ? await exit
      : `it said nothing for ${START_LIMIT_MS / 1000} s`;
  child.unref();
  if (line === "") {
    return new DevdevError("ERR_DAEMON_START", `the daemon did not start: ${how}`, {
      hint: `see ${dataPaths(env).logDir}`,
    });
  }
  const message = JSON.parse(line) as { error?: PlainError };
  return message.error ? errorFromPlain(message.error) : undefined;
}

async function waitForSocket(paths: DataPaths, deadline: number): Promise<boolean> {
  while (Date.now() < deadline) {
    const socket = await tryConnect(paths.socket);
    socket?.destroy();
    if (socket) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

// The launcher that started us, else the one of the checkout or package that this file is part of.
export function daemonLauncher(env: Record<string, string | undefined>): string {
  const given = env["DEVDEV_BIN"] ?? process.env["DEVDEV_BIN"];
  if (given) return given;
  const name = process.platform === "win32" ? "devdev.cmd" : "devdev";
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(directory, "bin", name);
    if (existsSync(candidate)) return candidate;
    const parent = dirname(directory);
    if (parent === directory)
      throw new DevdevError("ERR_NO_LAUNCHER", "bin/devdev was not found", {
        hint: "set DEVDEV_BIN to its path",
      });
    directory = parent;
  }
}

/** Refuses a daemon that speaks another protocol, with what to do about it. */
export function checkVersion(daemon: { version: string; protocol: number }): void {
  if (daemon.protocol === PROTOCOL_VERSION) return;
  const older = daemon.protocol < PROTOCOL_VERSION;
  throw new DevdevError(
    "ERR_VERSION",
    `the running daemon is ${older ? "older" : "newer"} (${daemon.version}) than this client (${VERSION})`,
    {
      hint: older
        ? "stop it with `devdev daemon stop` (workspaces are checkpointed); the next command starts the new one"
        : "use the client that belongs to it, or stop it with `devdev daemon stop`",
    },
  );
}
