// The daemon's socket: who may connect, and which of the two protocols a connection speaks. The
// directory is the user's alone and the socket has mode 0600, so no further authentication is
// needed.

import { chmod, lstat, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { DevdevError } from "@devdev/errno";
import { RPC_PREAMBLE, STREAM_PREAMBLE } from "@devdev/protocol";
import { makeDirectory } from "@devdev/workspace";

/** A client has this long to say what it speaks. */
const PREAMBLE_TIMEOUT_MS = 5000;
const LONGEST_PREAMBLE = Math.max(RPC_PREAMBLE.length, STREAM_PREAMBLE.length);

export interface Connections {
  rpc(socket: Socket): void;
  stream(socket: Socket): void;
}

/** Makes the runtime directory, or refuses one that others could have prepared. */
export async function securedDirectory(path: string): Promise<void> {
  makeDirectory(path);
  const stats = await lstat(path);
  const uid = process.getuid?.();
  if (!stats.isDirectory() || (uid !== undefined && stats.uid !== uid)) {
    throw new DevdevError("ERR_RUNTIME_DIR", `${path} does not belong to this user`, {
      hint: "remove it, or set DEVDEV_HOME to a directory of your own",
    });
  }
  if (stats.mode & 0o077) await chmod(path, 0o700);
}

/**
 * Listens on `path`; a socket that is left there belongs to a dead daemon (the caller holds the
 * data directory's lock).
 */
export async function listen(path: string, connections: Connections): Promise<Server> {
  const server = createServer((socket) => greet(socket, connections));
  if (process.platform !== "win32") {
    await securedDirectory(dirname(path));
    await rm(path, { force: true });
  }
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(umask);
  }
  return server;
}

function greet(socket: Socket, connections: Connections): void {
  // A peer that went away is no error of ours; whoever writes sees `destroyed`.
  socket.on("error", () => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), PREAMBLE_TIMEOUT_MS);
  let seen = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    const end = seen.indexOf(10) + 1;
    if (end === 0 && seen.length < LONGEST_PREAMBLE) return;
    clearTimeout(timer);
    socket.off("data", onData);
    socket.pause();
    if (seen.length > end) socket.unshift(seen.subarray(end));
    const line = seen.toString("latin1", 0, end);
    if (line === RPC_PREAMBLE) connections.rpc(socket);
    else if (line === STREAM_PREAMBLE) connections.stream(socket);
    else socket.end("devdev: unknown protocol\n");
  };
  socket.on("data", onData);
  socket.on("close", () => clearTimeout(timer));
}
