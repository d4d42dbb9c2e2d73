// Connecting to a daemon that is on its way out.

import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { dataPaths, PROTOCOL_VERSION, VERSION } from "@devdev/protocol";
import { expect, test } from "vitest";
import { RpcClient } from "./rpc-client.js";

/** Ends so many connections at once, as a killed daemon does; answers `hello` on the others. */
async function connectingTo(dead: number): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), "devdev-client-"));
  const env = { DEVDEV_HOME: home };
  const { socket: path } = dataPaths(env);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let connections = 0;
  const identity = { version: VERSION, protocol: PROTOCOL_VERSION, pid: process.pid };
  const server = createServer((socket) => {
    socket.on("error", () => {}); // The client may end it first.
    if (++connections <= dead) return void socket.destroy();
    socket.on("data", (chunk: Buffer) => {
      const id = /"id":(\d+),"method":"hello"/.exec(chunk.toString("latin1"))?.[1];
      if (id === undefined) return;
      const body = JSON.stringify({ jsonrpc: "2.0", id: Number(id), result: identity });
      socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  server.listen(path);
  await once(server, "listening");
  try {
    (await RpcClient.connect({ env, start: false })).close();
    return connections;
  } finally {
    server.close();
    rmSync(home, { recursive: true, force: true });
  }
}

test("a daemon that ends before it answers is asked again", async () => {
  expect(await connectingTo(3)).toBe(4);
});

test("not for ever", async () => {
  await expect(connectingTo(1000)).rejects.toMatchObject({ code: "ERR_DAEMON_GONE" });
});
