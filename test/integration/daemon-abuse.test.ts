// What a daemon has to bear: nonsense on its socket, clients that vanish or do not read, masses of
// output, commands that run when it is stopped, other versions, odd places.

import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import {
  encodeFrame,
  encodeJsonFrame,
  FrameType,
  PROTOCOL_VERSION,
  RPC_PREAMBLE,
  STREAM_PREAMBLE,
  VERSION,
} from "@devdev/protocol";
import { describe, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames, isRoot } from "../harness/identity.ts";
import { isAlive, processesOf } from "../harness/processes.ts";
import { answered, fakeDaemon, openExec, request, send } from "../harness/raw-client.ts";
import { run, sleep, until } from "../harness/run.ts";
import { marked, mounting, useDevdev } from "../harness/suite.ts";

const who = () => identity(identityNames[0] ?? "user");

/** Resident memory of a process, in MiB: now, and at its highest. */
function memory(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mib = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: mib("VmRSS"), most: mib("VmHWM") };
}

mounting("a daemon and its clients", () => {
  const devdev = useDevdev(who, "abuse");
  const socket = () => join(devdev().home, "run/daemon.sock");
  const exec = (argv: string[], options = {}) =>
    devdev().cli(["exec", "-w", devdev().mountPoint, "-T", "--", ...argv], options);

  test("nonsense on the socket ends that connection only", async () => {
    const pid = await devdev().daemonPid();
    const message = (text: string) => `Content-Length: ${text.length}\r\n\r\n${text}`;
    const answers = await Promise.all([
      send(socket(), "GET / HTTP/1.1\r\n\r\n"),
      send(socket(), Buffer.alloc(100_000, 0xff)),
      send(socket(), RPC_PREAMBLE, "no header at all\r\n\r\n"),
      send(socket(), RPC_PREAMBLE, "Content-Length: -5\r\n\r\n{}"),
      send(socket(), RPC_PREAMBLE, message("{ not json")),
      // All memory, if it were believed; and a header that never ends.
      send(socket(), RPC_PREAMBLE, "Content-Length: 99999999999\r\n\r\n{"),
      send(socket(), RPC_PREAMBLE, `X: ${"y".repeat(100_000)}`),
      send(socket(), STREAM_PREAMBLE, Buffer.from([99, 0, 0, 0, 0])),
      send(socket(), STREAM_PREAMBLE, Buffer.from([1, 0xff, 0xff, 0xff, 0xff])),
      send(socket(), STREAM_PREAMBLE, encodeFrame(FrameType.open, Buffer.from("{ not json"))),
      send(socket(), STREAM_PREAMBLE, encodeFrame(FrameType.stdin, Buffer.from("x"))),
      send(socket(), STREAM_PREAMBLE, encodeJsonFrame(FrameType.open, { kind: "other" })),
      send(socket(), STREAM_PREAMBLE, encodeJsonFrame(FrameType.open, null)),
      // Half-open: they say nothing, or not enough, and the daemon gives up on them.
      send(socket()),
      send(socket(), "devdev-"),
      send(socket(), "devdev-rpc/999\n"),
      send(socket(), STREAM_PREAMBLE),
    ]);
    expect(answers[0]).toBe("devdev: unknown protocol\n");
    expect(answers[11]).toContain("ERR_INVALID_PARAMS");
    // One sentence, not the validator's own JSON.
    expect(answers[11]).toMatch(/"message":"open: kind: [^"\\]+"/);
    const logged = (await devdev().ok(["daemon", "logs", "--json"])).stdout;
    expect(logged).toContain("a message of 99999999999 bytes is longer than 67108864");
    expect(await devdev().daemonPid()).toBe(pid);
    expect((await exec(["echo", "fine"])).stdout).toBe("fine\n");
  });

  test("slow clients hold nobody up, and are answered in the end", async () => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "workspace/list", params: {} });
    const open = {
      version: VERSION,
      protocol: PROTOCOL_VERSION,
      kind: "exec",
      argv: ["echo", "x"],
    };
    const frame = encodeJsonFrame(FrameType.open, { ...open, options: { pty: false } });
    const messages = [
      Buffer.from(`Content-Length: ${body.length}\r\n\r\n${body}`),
      Buffer.concat([frame, encodeFrame(FrameType.stdinEnd)]),
    ];
    const clients = [RPC_PREAMBLE, STREAM_PREAMBLE].map((preamble) => {
      const client = connect(socket());
      client.setNoDelay(true);
      client.write(preamble);
      return client;
    });
    for (const [n, client] of clients.entries()) client.write(messages[n]!.subarray(0, 12));
    expect((await exec(["echo", "fine"])).stdout).toBe("fine\n");
    // The head of an answer may come before its body.
    const expected = ['"result":[{"id":', String.fromCharCode(FrameType.opened)];
    const answers = clients.map((client, n) => answered(client, expected[n]!));
    for (const [n, client] of clients.entries()) {
      for (const byte of messages[n]!.subarray(12)) {
        client.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const [, opened] = await Promise.all(answers);
    expect(opened!.charCodeAt(0)).toBe(FrameType.opened);
    for (const client of clients) client.destroy();
  });

  test("requests that make no sense are answered with what is wrong", async () => {
    const ask = (body: object) => request(socket(), body);
    expect(await ask({ method: "no/such" })).toContain("ERR_UNKNOWN_METHOD");
    expect(await ask({ method: "toString" })).toContain("ERR_UNKNOWN_METHOD");
    const wrong = await ask({ method: "workspace/mount", params: { path: 5 } });
    expect(wrong).toContain("ERR_INVALID_PARAMS");
    expect(wrong).toContain("path: ");
  });

  test("twenty commands at once", async () => {
    const all = Array.from({ length: 20 }, (_, n) => exec(["sh", "-c", `echo ${n}; sleep 0.3`]));
    const results = await Promise.all(all);
    expect(results.map(({ code, stdout }) => [code, stdout])).toEqual(
      all.map((_, n) => [0, `${n}\n`]),
    );
  });

  test("masses of output do not end up in the daemon, which answers meanwhile", async () => {
    const pid = await devdev().daemonPid();
    writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak begins anew
    const before = memory(pid);
    const bin = join(devdev().identity.checkout, "bin/devdev");
    const pipeline = `${bin} exec -T -w ${devdev().mountPoint} -- head -c 1G /dev/zero | tail -c1 | wc -c`;
    const flood = devdev().host(["sh", "-c", pipeline]);
    const waits: number[] = [];
    const flowing = { yet: true };
    void flood.finally(() => (flowing.yet = false));
    while (flowing.yet) waits.push((await devdev().cli(["ls", "--json"])).durationMs);
    expect((await flood).stdout.trim()).toBe("1");
    expect(memory(pid).most - before.now).toBeLessThan(200);
    // Each is a command of its own, beside five busy processes.
    expect(Math.max(...waits)).toBeLessThan(20_000);
  });

  test("S43 a client that does not read costs no memory; when it goes, its command gets SIGHUP", async () => {
    const daemon = await devdev().daemonPid();
    const { now } = memory(daemon);
    const marker = join(devdev().directory, "hup");
    const script = `trap 'echo > ${marker}; exit' HUP; : > ${marker}.set
      while :; do echo ${"x".repeat(1000)}; done`;
    const client = await openExec(socket(), devdev().mountPoint, ["sh", "-c", script]);
    await until("the command", () => existsSync(`${marker}.set`), 30_000);
    await sleep(1000);
    expect(memory(daemon).now - now).toBeLessThan(100);
    client.destroy();
    await until("SIGHUP", () => existsSync(marker), 30_000);
  });

  test("a client that is killed while its command does not read", async () => {
    const marker = join(devdev().directory, "hup2");
    const script = `trap 'echo > ${marker}; exit' HUP; : > ${marker}.set; while :; do sleep 0.1; done`;
    const client = await openExec(socket(), devdev().mountPoint, ["sh", "-c", script]);
    client.write(encodeFrame(FrameType.stdin, Buffer.alloc(1024 * 1024)));
    await until("the command", () => existsSync(`${marker}.set`), 30_000);
    await sleep(400);
    client.destroy();
    await until("SIGHUP", () => existsSync(marker), 30_000);
    expect((await exec(["echo", "fine"])).stdout).toBe("fine\n");
  });

  test("more input than was granted ends the connection", async () => {
    const client = await openExec(socket(), devdev().mountPoint, ["sleep", "60"]);
    client.on("error", () => {});
    client.resume();
    const closed = new Promise((resolve) => client.once("close", resolve));
    client.write(encodeFrame(FrameType.stdin, Buffer.alloc(3 * 1024 * 1024)));
    await closed;
    await until("the end of sleep", async () => {
      const { processes } = await devdev().json<{ processes: unknown[] }>([
        "status",
        "-w",
        devdev().mountPoint,
      ]);
      return processes.length === 0;
    });
    expect((await exec(["echo", "fine"])).stdout).toBe("fine\n");
  });

  test("a client of another version is told so, and nothing is run", async () => {
    const marker = join(devdev().directory, "ran");
    for (const [protocol, word] of [
      [99, "older"],
      [0, "newer"],
    ] as const) {
      const open = {
        version: "9.9.9",
        protocol,
        kind: "exec",
        argv: ["touch", marker],
        options: {},
      };
      const answer = await send(socket(), STREAM_PREAMBLE, encodeJsonFrame(FrameType.open, open));
      expect(answer).toContain("ERR_VERSION");
      expect(answer).toContain(`the running daemon is ${word}`);
    }
    expect(existsSync(marker)).toBe(false);
  });

  test("the log has a structured line for what was done", async () => {
    await exec(["sh", "-c", "exit 7"]);
    const { stdout } = await devdev().ok(["daemon", "logs", "--json", "-n", "500"]);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const pid = await devdev().daemonPid();
    expect(
      lines.every((line) => line["pid"] !== undefined && typeof line["time"] === "number"),
    ).toBe(true);
    const ended = { msg: "command ended", command: "sh", exitCode: 7, workspace: "ws" };
    expect(lines).toContainEqual(expect.objectContaining(ended));
    const started = { msg: "command started", command: "sh", workspace: "ws", pid };
    expect(lines).toContainEqual(expect.objectContaining(started));
    // No arguments and no variables.
    expect(stdout).not.toContain("exit 7");
    const { mountPoint } = devdev();
    const mounted = { msg: "mounted", workspace: "ws", mountPoint, created: true, pid };
    expect(lines).toContainEqual(expect.objectContaining(mounted));
  });
});

mounting("a daemon that ends", () => {
  test.for(["SIGTERM", "stop"])("by %s while a command runs", async (how) => {
    await using devdev = await Devdev.create(await who(), "ending");
    await devdev.mount();
    const pid = await devdev.daemonPid();
    const script =
      "trap 'echo ended; exit 9' TERM; echo started; : > $TMPDIR/trapped; while :; do sleep 0.1; done";
    const running = devdev.cli(["exec", "-w", "ws", "-T", "--", "sh", "-c", script]);
    await marked(devdev, "trapped");
    if (how === "stop") await devdev.ok(["daemon", "stop"]);
    else process.kill(pid, "SIGTERM");
    const { code, stdout } = await running;
    expect([code, stdout]).toEqual([9, "started\nended\n"]);
    await until("the daemon's end", () => !isAlive(pid));
    expect(existsSync(join(devdev.home, "run/daemon.sock"))).toBe(false);
    expect(existsSync(join(devdev.home, "run/daemon.pid"))).toBe(false);
  });

  test("by kill -9 while a command runs: the client says so, the next command goes on", async () => {
    await using devdev = await Devdev.create(await who(), "killed");
    devdev.lenient = true;
    await devdev.mount();
    const script = ": > $TMPDIR/asleep; exec sleep 60";
    const running = devdev.cli(["exec", "-w", "ws", "-T", "--", "sh", "-c", script]);
    await marked(devdev, "asleep");
    process.kill(await devdev.daemonPid(), "SIGKILL");
    const { code, stderr } = await running;
    expect(code).toBe(125);
    expect(stderr).toMatch(/the daemon went away while the command ran/);
    // The stale socket and pid file are in nobody's way.
    expect(existsSync(join(devdev.home, "run/daemon.sock"))).toBe(true);
    await devdev.mount();
    expect((await devdev.exec(["echo", "again"])).stdout).toBe("again\n");
  });
});

test("a daemon that dies while it starts: the command fails, and says of what", async () => {
  await using devdev = await Devdev.create(await who(), "unborn");
  const env = { DEVDEV_FAULT: "kill:migrate:1" };
  for (const command of [["ls"], ["mount", devdev.mountPoint], ["daemon", "start"]]) {
    const { code, stderr } = await devdev.cli(command, { env });
    expect([command, code]).toEqual([command, 1]);
    expect(stderr).toMatch(/^devdev: the daemon did not start: SIGKILL ended it\n/);
  }
  await devdev.ok(["ls"]);
});

describe("the place of a daemon", () => {
  test("something else at the place of the socket is replaced", async () => {
    await using devdev = await Devdev.create(await who(), "place");
    await devdev.host(["mkdir", "-p", "-m", "700", join(devdev.home, "run")]);
    await devdev.host(["sh", "-c", `echo 1 > ${devdev.home}/run/daemon.pid`]);
    await devdev.host(["python3", "-c", BIND, join(devdev.home, "run/daemon.sock")]);
    await devdev.ok(["ls"]);
    const pid = await devdev.daemonPid();
    expect(readFileSync(join(devdev.home, "run/daemon.pid"), "utf8")).toBe(`${pid}\n`);
  });

  test("directory and socket are the user's alone, also when they were not", async () => {
    await using devdev = await Devdev.create(await who(), "place");
    await devdev.host(["mkdir", "-p", "-m", "777", join(devdev.home, "run")]);
    await devdev.ok(["ls"]);
    expect(statSync(join(devdev.home, "run")).mode & 0o777).toBe(0o700);
    expect(statSync(join(devdev.home, "run/daemon.sock")).mode & 0o777).toBe(0o600);
  });

  test.skipIf(!isRoot())("a runtime directory of somebody else is refused", async () => {
    await using devdev = await Devdev.create(await identity("root"), "foreign");
    const runtime = join(devdev.home, "run");
    mkdirSync(runtime, { recursive: true });
    writeFileSync(join(runtime, "daemon.sock"), "");
    chownSync(runtime, 65_534, 65_534);
    const { code, stderr } = await devdev.cli(["ls"]);
    expect(code).toBe(1);
    expect(stderr).toContain(`devdev: ${runtime} does not belong to this user\n`);
    expect(processesOf(devdev.directory)).toEqual([]);
    chownSync(runtime, 0, 0);
  });

  test("a home whose path is too long for a socket", async () => {
    await using devdev = await Devdev.create(await who(), "long");
    const env = { DEVDEV_HOME: join(devdev.directory, "h".repeat(120)) };
    const before = statSync("/tmp").mode;
    await devdev.ok(["ls"], { env });
    const { stdout } = await devdev.ok(["daemon", "status", "--json"], { env });
    const { socket, home } = JSON.parse(stdout) as { socket: string; home: string };
    expect(home).toBe(env.DEVDEV_HOME);
    expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(107);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await devdev.ok(["daemon", "stop"], { env });
    expect(existsSync(socket)).toBe(false);
    expect(statSync("/tmp").mode).toBe(before);
  });

  test.for([
    [0, "older"],
    [99, "newer"],
  ] as const)(
    "a daemon of protocol %s is %s, and the client says what to do",
    async ([protocol, word]) => {
      await using devdev = await Devdev.create(
        await identity(isRoot() ? "root" : "user"),
        "version",
      );
      mkdirSync(join(devdev.home, "run"), { recursive: true, mode: 0o700 });
      const server = await fakeDaemon(join(devdev.home, "run/daemon.sock"), protocol);
      try {
        for (const command of [["ls"], ["exec", "-T", "--", "true"]]) {
          const { code, stderr } = await devdev.cli(command);
          expect(code).toBe(command[0] === "ls" ? 1 : 125);
          expect(stderr).toContain(
            `the running daemon is ${word} (${protocol}.0.0) than this client`,
          );
          expect(stderr).toContain("devdev daemon stop");
        }
      } finally {
        await new Promise((resolve) => server.close(resolve));
        await run(["rm", "-f", join(devdev.home, "run/daemon.sock")]);
      }
    },
  );
});

const BIND = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
