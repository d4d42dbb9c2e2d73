// The command line before a person: keys, signals, window size, progress, and a terminal that is
// left as it was however a command ends.

import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { sleep, until } from "../harness/run.ts";
import { mounting, useDevdev } from "../harness/suite.ts";
import { Terminal } from "../harness/terminal.ts";

const who = () => identity(identityNames[0] ?? "user");

function on(
  devdev: Devdev,
  argv: string[],
  size: { rows?: number; columns?: number } = {},
): Terminal {
  const bin = join(devdev.identity.checkout, "bin/devdev");
  const options = { cwd: devdev.directory, env: devdev.env, ...size };
  return new Terminal(devdev.identity.wrap([bin, ...argv]), options);
}

mounting("the command line on a terminal", () => {
  const devdev = useDevdev(who, "tty");
  const terminal = (argv: string[], size = {}) => on(devdev(), ["-w", "ws", ...argv], size);
  const sh = (script: string) => ["exec", "--", "sh", "-c", script];

  test("Ctrl-C ends the command with 130", async () => {
    using tty = terminal(sh("echo ready; sleep 60"));
    await tty.shows("ready");
    tty.type("\u0003");
    expect(await tty.ended()).toEqual({ code: 130, restored: true });
    expect(tty.output).toBe("ready\r\n^C");
  });

  test("Ctrl-C is the program's when it wants it", async () => {
    using tty = terminal(
      sh("trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done"),
    );
    await tty.shows("ready");
    tty.type("\u0003");
    expect(await tty.ended()).toEqual({ code: 4, restored: true });
    expect(tty.output).toContain("caught\r\n");
  });

  test("lines, their echo, and Ctrl-D", async () => {
    using tty = terminal(["exec", "--", "cat"]);
    tty.type("one\r");
    await tty.shows("one\r\none\r\n");
    tty.type("\u0004");
    expect(await tty.ended()).toEqual({ code: 0, restored: true });
  });

  test("the window's size, and when it changes", async () => {
    using tty = terminal(
      sh("stty size; trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.1; done"),
      { rows: 33, columns: 111 },
    );
    await tty.shows("ready");
    expect(tty.output).toContain("33 111\r\n");
    tty.resize(44, 99);
    expect((await tty.ended()).code).toBe(5);
    expect(tty.output).toContain("44 99\r\n");
  });

  test("a terminal that nobody gave a size has 24 rows of 80 columns", async () => {
    using tty = terminal(sh("stty size; tput cols; exit 6"), { rows: 0, columns: 0 });
    expect((await tty.ended()).code).toBe(6);
    expect(tty.output).toBe("24 80\r\n80\r\n");
  });

  test("in the background, as below timeout(1), it runs without the keys", async () => {
    const bin = join(devdev().identity.checkout, "bin/devdev");
    const { env, mountPoint: cwd } = devdev();
    const script = "stty size; sleep 0.3; exit 7";
    using tty = new Terminal(["timeout", "30", bin, "exec", "--", "sh", "-c", script], {
      cwd,
      env,
    });
    expect(await tty.ended()).toEqual({ code: 7, restored: true });
    expect(tty.output).toBe("30 100\r\n");
  });

  test("a shell: typed commands, its exit code", async () => {
    using tty = terminal(["shell"]);
    tty.type("echo $((40 + 2)) $TERM; pwd\r");
    await tty.shows("42 xterm\r\n");
    await tty.shows(devdev().mountPoint);
    tty.type("exit 3\r");
    expect(await tty.ended()).toEqual({ code: 3, restored: true });
  });

  test("a full-screen program", async () => {
    const keys = terminal(
      sh("stty -echo raw; echo ready; dd bs=1 count=3 2>/dev/null | od -An -tx1; stty sane"),
    );
    await keys.shows("ready");
    keys.type("\u001b[A");
    expect(await keys.ended()).toEqual({ code: 0, restored: true });
    expect(keys.output).toContain("1b 5b 41");
  });

  test.for([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGQUIT", 131],
  ] as const)("%s to the client is the command's", async ([signal, code]) => {
    using tty = terminal(sh("ulimit -c 0; echo ready; exec sleep 60"));
    await tty.shows("ready");
    tty.signal(signal);
    expect(await tty.ended()).toEqual({ code, restored: true });
  });

  test("S43 a signal that is repeated ends the client when the command is deaf", async () => {
    using tty = terminal(
      sh("trap '' TERM HUP; echo ready; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done"),
    );
    await tty.shows("ready");
    const is = { over: false };
    const ended = tty.ended(60_000).finally(() => (is.over = true));
    // Three of them now and then: what comes too close together is one signal on a busy machine.
    for (let i = 0; !is.over; i++) {
      if (i % 20 < 3) tty.signal("SIGTERM");
      await sleep(150);
    }
    expect(await ended).toEqual({ code: 143, restored: true });
  });

  test("without a command that could run the terminal stays as it is", async () => {
    for (const [argv, code] of [
      [["exec", "--", "no-such-program"], 127],
      [["exec", "--cwd", "/none", "--", "true"], 125],
      [["exec", "--nope"], 2],
    ] as const) {
      using tty = terminal([...argv]);
      expect(await tty.ended()).toEqual({ code, restored: true });
      expect(tty.output).toMatch(/^devdev: .*\r\n/);
    }
  });

  test("output into a pipe: plain pipes, and keys still arrive", async () => {
    const bin = join(devdev().identity.checkout, "bin/devdev");
    const script = `${bin} -w ws exec -- sh -c 'test -t 0 || echo none; read x; echo got $x' | cat`;
    using tty = new Terminal(devdev().identity.wrap(["sh", "-c", script]), {
      cwd: devdev().directory,
      env: devdev().env,
    });
    await tty.shows("none");
    tty.type("word\r");
    expect(await tty.ended()).toEqual({ code: 0, restored: true });
    expect(tty.output).toContain("got word\r\n");
  });

  test("S44 Ctrl-C during an export leaves no file, and exits with 130", async () => {
    await devdev().sh("head -c 250000000 /dev/urandom > big");
    const file = join(devdev().directory, "out.ddws");
    using tty = terminal(["export", file]);
    const names = () => readdirSync(devdev().directory).filter((name) => name.startsWith("out"));
    await until("the export's beginning", () => names().length > 0);
    tty.type("\u0003");
    expect(await tty.ended()).toEqual({ code: 130, restored: true });
    await until("its end", () => names().length === 0);
    await devdev().sh("rm big");
    expect(existsSync(file)).toBe(false);
  });

  test("rm asks, and only yes is yes", async () => {
    await devdev().ok(["mount", "--name", "asked", join(devdev().directory, "asked")]);
    await devdev().ok(["unmount", "asked"]);
    using no = terminal(["rm", "asked"]);
    await no.shows("Remove workspace asked");
    no.type("n");
    expect(await no.ended()).toEqual({ code: 1, restored: true });
    using yes = terminal(["rm", "asked"]);
    await yes.shows("Remove workspace asked");
    yes.type("y");
    expect(await yes.ended()).toEqual({ code: 0, restored: true });
  });

  test("daemon logs -f ends with Ctrl-C", async () => {
    using tty = terminal(["daemon", "logs", "-f", "-n", "1"]);
    await tty.shows("INFO");
    tty.type("\u0003");
    expect(await tty.ended()).toEqual({ code: 130, restored: true });
    expect(tty.output).not.toContain("devdev:");
  });
});

mounting("a terminal and a daemon that fails", () => {
  test("the daemon is killed: the modes are back, the message is whole", async () => {
    await using devdev = await Devdev.create(await who(), "tty-killed");
    devdev.lenient = true;
    await devdev.mount();
    const script = "stty raw; echo ready; sleep 60";
    using tty = on(devdev, ["-w", "ws", "exec", "--", "sh", "-c", script]);
    await tty.shows("ready");
    process.kill(await devdev.daemonPid(), "SIGKILL");
    expect(await tty.ended()).toEqual({ code: 125, restored: true });
    expect(tty.output).toContain("devdev: the daemon went away while the command ran\r\n");
  });

  test("progress is shown after a second, and wiped", async () => {
    await using devdev = await Devdev.create(await identity("root").catch(who), "progress");
    mkdirSync(join(devdev.home, "run"), { recursive: true, mode: 0o700 });
    const socket = join(devdev.home, "run/daemon.sock");
    const server = createServer((client) => {
      client.on("error", () => {});
      client.on("data", (chunk: Buffer) => {
        const requests = String(chunk).matchAll(
          /\{"jsonrpc".*?"method":"([^"]+)".*?\}(?=Content|$)/gs,
        );
        for (const [text, method] of requests) {
          const { id, params } = JSON.parse(text) as {
            id: number;
            params: { progressToken?: string };
          };
          const say = (body: object): void => {
            const line = JSON.stringify({ jsonrpc: "2.0", ...body });
            client.write(`Content-Length: ${line.length}\r\n\r\n${line}`);
          };
          if (method === "hello") say({ id, result: { version: "0", protocol: 1, pid: 1 } });
          else {
            const progress = { token: params.progressToken, stage: "reading the file", done: 42 };
            say({ method: "progress", params: progress });
            setTimeout(() => say({ id, result: [] }), 2500);
          }
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      using tty = on(devdev, ["ls"]);
      await tty.shows("\r\u001b[Kreading the file 42 (");
      await tty.shows(/file 42 \([12]\./);
      expect(await tty.ended()).toEqual({ code: 0, restored: true });
      const visible = tty.output.split("\u001b[K").at(-1);
      expect(visible).toBe("no workspaces; make one with `devdev mount DIRECTORY`\r\n");
    } finally {
      await new Promise((resolve) => server.close(resolve));
      rmSync(socket, { force: true });
    }
  });
});
