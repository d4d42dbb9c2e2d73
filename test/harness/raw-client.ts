// Connections to a daemon that no client of ours would make, for tests of what it bears.

import { on, once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import {
  encodeJsonFrame,
  FrameType,
  PROTOCOL_VERSION,
  RPC_PREAMBLE,
  STREAM_PREAMBLE,
  VERSION,
} from "@devdev/protocol";

/** Everything that comes until the other side ends, or until the time is over. */
export async function received(socket: Socket, limitMs = 8000): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {}); // A reset is an end as well.
  const timer = setTimeout(() => socket.destroy(new Error("not ended")), limitMs);
  await once(socket, "close").catch(() => undefined);
  clearTimeout(timer);
  return Buffer.concat(chunks).toString("latin1");
}

/** What comes until `part` is among it, as characters of one byte each. */
export async function answered(socket: Socket, part: string): Promise<string> {
  let answer = "";
  for await (const chunk of on(socket, "data", { close: ["close"] })) {
    answer += (chunk[0] as Buffer).toString("latin1");
    if (answer.includes(part)) return answer;
  }
  throw new Error(`ended before ${part} came: ${answer}`);
}

/** Sends bytes and returns what comes back until the daemon ends the connection. */
export async function send(path: string, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = connect(path);
  socket.on("error", () => {});
  await once(socket, "connect");
  for (const part of parts) socket.write(part);
  return received(socket);
}

/** One JSON-RPC request, whatever is in it; resolves with the answer as text. */
export async function request(path: string, body: object): Promise<string> {
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, ...body });
  const socket = connect(path);
  socket.write(`${RPC_PREAMBLE}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.endsWith("}")) break;
  }
  return answer;
}

/** A stream connection that has opened a command; nothing is read from it. */
export async function openExec(path: string, workspace: string, argv: string[]): Promise<Socket> {
  const socket = connect(path);
  await once(socket, "connect");
  socket.pause();
  const open = { version: VERSION, protocol: PROTOCOL_VERSION, kind: "exec", workspace, argv };
  socket.write(STREAM_PREAMBLE);
  socket.write(encodeJsonFrame(FrameType.open, { ...open, options: { pty: false } }));
  return socket;
}

/** What looks like a daemon of another protocol version. */
export async function fakeDaemon(path: string, protocol: number): Promise<Server> {
  const identity = { version: `${protocol}.0.0`, protocol, pid: process.pid };
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      if (text.includes("devdev-stream/1")) {
        socket.write(encodeJsonFrame(FrameType.opened, { ...identity, pid: 1 }));
      }
      const id = /"id":(\d+),"method":"hello"/.exec(text)?.[1];
      if (id === undefined) return;
      const body = JSON.stringify({ jsonrpc: "2.0", id: Number(id), result: identity });
      socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}
