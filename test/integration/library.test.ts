// The library in one process, without a daemon: snapshots and restores under a live mount
// (SEMANTICS S19, S24 to S28), commands, and the end of a mount. The engine runs in this process,
// peers and commands work on the mount.

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Workspace } from "@devdev/workspace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { base } from "../harness/base.ts";
import { expectTransport } from "../harness/io-uring.ts";
import { mountAt } from "../harness/mounts.ts";
import { Peer } from "../harness/peer.ts";
import { until } from "../harness/run.ts";
import { lacks, mounting } from "../harness/suite.ts";

let directory = "";
const open: Workspace[] = [];
const peers: Peer[] = [];

async function mounted(options: Parameters<typeof Workspace.create>[0] = {}): Promise<Workspace> {
  const ws = await Workspace.create(options);
  open.push(ws);
  await ws.mount();
  expectTransport(ws);
  return ws;
}

async function peerOf(ws: Workspace): Promise<Peer> {
  const peer = await Peer.start(ws.mountPoint!);
  peers.push(peer);
  return peer;
}

beforeEach(() => {
  directory = mkdtempSync(join(base(), "library-"));
});
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer[Symbol.asyncDispose]()));
  await Promise.all(open.splice(0).map((ws) => ws.close()));
  rmSync(directory, { recursive: true, force: true });
});

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error;

mounting("the library on a mount", () => {
  const noPython = lacks("python3");

  test.skipIf(noPython)(
    "S19 a snapshot holds what mappings hold, and they stay usable",
    async () => {
      const ws = await mounted();
      const peer = await peerOf(ws);
      await peer.call("write", "/mapped", "-".repeat(300_000));
      await peer.call("map", "m", "/mapped");
      for (const round of ["one", "two", "three"]) {
        await peer.call("store", "m", 0, round);
        await peer.call("store", "m", 200_000, round);
        const { name = "" } = await ws.snapshot({ name: round });
        const kept = await ws.fs.readFile(`/.devdev/snapshots/${name}/mapped`, "utf8");
        expect([kept.slice(0, round.length), kept.slice(200_000, 200_000 + round.length)]).toEqual([
          round,
          round,
        ]);
      }
      expect(await ws.fs.readFile("/.devdev/snapshots/one/mapped", "utf8")).toMatch(/^one-/);
    },
  );

  test.skipIf(noPython)("S24 S25 a restore under handles, mappings and directories", async () => {
    const ws = await mounted();
    const peer = await peerOf(ws);
    await peer.call("mkdir", "/d");
    await peer.call("write", "/d/kept", "before");
    await peer.call("write", "/d/mapped", "before".repeat(2000));
    await ws.snapshot({ name: "before" });
    await peer.call("write", "/d/kept", "after, and longer");
    await peer.call("map", "m", "/d/mapped");
    await peer.call("store", "m", 0, "AFTER!");
    await peer.call("write", "/d/new", "only after");
    await peer.call("hold", "kept", "/d/kept", "O_RDWR");
    await peer.call("hold", "new", "/d/new", "O_RDONLY");
    const { before, filesChanged } = await ws.restore("before");
    expect(filesChanged).toBe(3);
    expect(await peer.call("ls", "/d")).toEqual(["kept", "mapped"]);
    expect(await peer.call("read", "/d/kept")).toBe("before");
    expect(await peer.call("pread", "kept", 100, 0)).toBe("before");
    expect(await peer.call("load", "m", 0, 12)).toBe("beforebefore");
    // An inode that the restored state lacks lives on as long as it is open.
    expect(await peer.call("pread", "new", 100, 0)).toBe("only after");
    expect(await peer.call("exists", "/d/new")).toBe(false);
    await ws.restore(before.id);
    expect(await peer.call("read", "/d/new")).toBe("only after");
    expect(await peer.call("read", "/d/mapped")).toMatch(/^AFTER!before/);
    expect(await peer.call("load", "m", 0, 6)).toBe("AFTER!");
  });

  test("S19 every snapshot is a cut: nothing later without what came before it", async () => {
    const ws = await mounted();
    const script = "i=0; while :; do i=$((i+1)); echo $i > first; echo $i > second; done";
    const writer = await ws.spawn("sh", ["-c", script], { pty: false });
    await until("the writer", () => ws.fs.existsSync("/second"));
    let seen = 0;
    for (let round = 0; round < 30; round++) {
      const { sequence } = await ws.snapshot();
      const read = (name: string): number =>
        Number(ws.fs.readFileSync(`/.devdev/snapshots/#${sequence}/${name}`, "utf8"));
      // Zero: the file was truncated and not written again yet.
      const [first, second] = [read("first"), read("second")];
      if (first > 0 && second > 0) expect([0, 1]).toContain(first - second);
      seen += Number(first > 0);
    }
    expect(seen).toBeGreaterThan(0);
    await writer.kill("SIGKILL");
    await writer.wait();
  });

  test("S27 a restore refuses while commands run, pauses them, or ends them", async () => {
    const ws = await mounted({ dataDir: directory });
    await ws.fs.writeFile("/a", "one");
    await ws.snapshot({ name: "one" });
    const script = "while :; do echo tick >> ticks; sleep 0.01; done";
    const command = await ws.spawn("sh", ["-c", script]);
    const hasTicks = () => ws.fs.existsSync("/ticks") && ws.fs.statSync("/ticks").size > 0;
    await until("a tick", hasTicks);
    await expect(ws.restore("one")).rejects.toThrow(code("EBUSY"));
    expect(ws.fs.existsSync("/ticks")).toBe(true);
    const { before } = await ws.restore("one", { live: true });
    // It goes on where it was, in the restored state.
    await until("a tick after the restore", hasTicks);
    const ticked = await ws.fs.readFile("/ticks", "utf8");
    await ws.restore(before.id, { kill: true });
    expect((await command.wait()).exitCode).toBeGreaterThan(128);
    expect(await ws.processes()).toEqual([]);
    expect(ticked).toMatch(/^(tick\n)+$/);
    expect(await ws.fs.readFile("/ticks", "utf8")).toMatch(/^(tick\n)+$/);
  });

  test("a directory of its own goes with the mount, and its state comes back", async () => {
    const ws = await mounted({ dataDir: directory, name: "w" });
    const path = ws.mountPoint!;
    expect(path).toMatch(/\/devdev-ws-[^/]+$/);
    expect((await ws.exec("sh", ["-c", "echo made > here"])).exitCode).toBe(0);
    await ws.unmount();
    expect(existsSync(path)).toBe(false);
    expect((await ws.usage()).dirtyBytes).toBe(0);
    const again = await ws.mount(join(directory, "elsewhere"));
    expect(again).toBe(join(directory, "elsewhere"));
    expect((await ws.exec("cat", ["here"])).output).toBe("made\r\n");
    await expect(ws.mount()).rejects.toThrow(code("EBUSY"));
    await ws.close();
    expect(mountAt(again)).toBeUndefined();
    expect(readdirSync(directory)).toEqual(["store"]);
    const back = await Workspace.open("w", { dataDir: directory });
    open.push(back);
    expect(await back.fs.readFile("/here", "utf8")).toBe("made\n");
  });

  test("S34 a mount in use is not unmounted, but closed", async () => {
    const ws = await mounted();
    const command = await ws.spawn("sleep", ["100"], { pty: false });
    await expect(ws.unmount()).rejects.toThrow(code("EBUSY"));
    expect((await ws.exec("pwd")).output.trim()).toBe(ws.mountPoint);
    const path = ws.mountPoint!;
    await ws.close();
    expect(mountAt(path)).toBeUndefined();
    expect((await command.wait()).signal).toBe("SIGTERM");
  });

  test.skipIf(noPython)(
    "S28 what a program stored through a mapping is kept by the close",
    async () => {
      const ws = await mounted({ dataDir: directory, name: "w" });
      const peer = await peerOf(ws);
      await peer.call("write", "/mapped", "-".repeat(10_000));
      await peer.call("map", "m", "/mapped");
      await peer.call("store", "m", 5000, "stored");
      await ws.close();
      const back = await Workspace.open("w", { dataDir: directory });
      open.push(back);
      expect((await back.fs.readFile("/mapped", "utf8")).slice(5000, 5006)).toBe("stored");
    },
  );
});
