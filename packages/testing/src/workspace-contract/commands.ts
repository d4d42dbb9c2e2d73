// The contract of mount, exec and spawn.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecProcess } from "@devdev/protocol";
import { type ContractCase, onMounted, onWorkspace, rejection } from "./contract.js";

const PIPES = { pty: false } as const;

/** Resolves when the output so far contains `text`. */
function seen(process: ExecProcess, text: string): Promise<void> {
  return new Promise((resolve) => {
    let all = "";
    process.onOutput((chunk) => {
      all += chunk.toString();
      if (all.includes(text)) resolve();
    });
  });
}

const mountCases: ContractCase[] = [
  {
    ...onWorkspace("the example: without a path mounted at a directory that goes", async (ws) => {
      await ws.fs.writeFile("/hello.txt", "world\n");
      const at = await ws.mount();
      const { exitCode, output } = await ws.exec("cat", ["hello.txt"]);
      assert.deepEqual([exitCode, output], [0, "world\r\n"]);
      assert.match(at, /\/devdev-ws-[^/]+$/);
      assert.equal(ws.mountPoint, at);
      assert.equal((await rejection(ws.mount()))["code"], "EBUSY");
      await ws.unmount();
      assert.deepEqual([ws.mountPoint, existsSync(at)], [undefined, false]);
    }),
    mounts: true,
  },
  {
    name: "mounted at a path that there was, and unmounted by close",
    mounts: true,
    async run(maker) {
      const directory = mkdtempSync(join(tmpdir(), "contract-"));
      try {
        const workspace = await maker.create();
        assert.equal(await workspace.mount(directory), directory);
        await workspace.exec("sh", ["-c", "echo in > file"]);
        assert.equal(await workspace.fs.readFile("/file", "utf8"), "in\n");
        await workspace.close();
        assert.equal(existsSync(join(directory, "file")), false);
      } finally {
        rmdirSync(directory);
      }
    },
  },
];

const execCases: ContractCase[] = [
  onMounted("cwd, env, passEnv, umask", async (workspace) => {
    await workspace.fs.mkdir("/sub");
    const script = "pwd; echo $A-$B-$C; umask";
    const { output } = await workspace.exec("sh", ["-c", script], {
      ...PIPES,
      cwd: "/sub",
      env: { A: "a" },
      passEnv: ["B", "C"],
      callerEnv: { B: "b", D: "d" },
      umask: 0o077,
    });
    assert.equal(output, `${workspace.mountPoint}/sub\na-b-\n0077\n`);
    const relative = await rejection(workspace.exec("pwd", [], { cwd: "sub" }));
    assert.equal(relative["code"], "ERR_INVALID_ARG_VALUE");
    assert.equal((await rejection(workspace.exec("pwd", [], { cwd: "/none" })))["code"], "ENOENT");
  }),

  onMounted(
    "a profile takes from the caller's environment, and passed PATH is extended",
    async (workspace) => {
      const callerEnv = { PATH: "/usr/bin:/odd", RUSTUP_TOOLCHAIN: "here" };
      const script = 'echo "$PATH $RUSTUP_TOOLCHAIN"';
      const options = { ...PIPES, callerEnv, path: ["/front"] };
      const rust = await workspace.exec("sh", ["-c", script], { ...options, profiles: ["rust"] });
      assert.match(rust.output, /^\/front:\S+ here\n$/);
      const passed = await workspace.exec("sh", ["-c", script], { ...options, passEnv: ["PATH"] });
      assert.equal(passed.output, "/front:/usr/bin:/odd \n");
      const unknown = await rejection(workspace.exec("true", [], { profiles: ["cobol"] }));
      assert.match(unknown.message, /there is no profile "cobol"/);
    },
  ),

  onMounted("pipes keep the two streams apart; stdin is given or empty", async (workspace) => {
    const script = "cat; echo err >&2; exit 3";
    const result = await workspace.exec("sh", ["-c", script], { ...PIPES, stdin: "text" });
    assert.equal(result.exitCode, 3);
    assert.deepEqual([result.stdout?.toString(), result.stderr?.toString()], ["text", "err\n"]);
    assert.equal((await workspace.exec("cat", [], PIPES)).output, "");
    const all = Buffer.alloc(3_000_000, "0123456789");
    assert.ok((await workspace.exec("cat", [], { ...PIPES, stdin: all })).bytes.equals(all));
    // One that reads nothing does not hold exec up.
    assert.equal((await workspace.exec("true", [], { ...PIPES, stdin: all })).exitCode, 0);
  }),

  onMounted("a terminal of the wanted size, with input and Ctrl-D", async (workspace) => {
    const pty = { cols: 99, rows: 33, term: "xterm" };
    const { output } = await workspace.exec("sh", ["-c", "stty size; echo $TERM; cat"], {
      pty,
      stdin: "typed\n",
    });
    // The echo of what is typed may come first.
    const lines = output.split("\r\n").toSorted();
    assert.deepEqual(lines, ["", "33 99", "typed", "typed", "xterm"]);
  }),

  onMounted(
    "ends: not found, not executable, signal, time limit with what was printed",
    async (workspace) => {
      const missing = await workspace.exec("no-such-program", [], PIPES);
      assert.equal(missing.exitCode, 127);
      assert.match(missing.stderr?.toString() ?? "", /^devdev: .*no-such-program.*\n$/);
      await workspace.fs.writeFile("/plain", "text", { mode: 0o644 });
      assert.equal((await workspace.exec("./plain")).exitCode, 126);
      const killed = await workspace.exec("sh", ["-c", "kill -KILL $$"], PIPES);
      assert.deepEqual([killed.exitCode, killed.signal, killed.timedOut], [137, "SIGKILL", false]);
      const late = await workspace.exec("sh", ["-c", "echo started; sleep 60"], {
        ...PIPES,
        timeoutMs: 2000,
        killGraceMs: 300,
      });
      assert.deepEqual([late.exitCode, late.timedOut, late.output], [124, true, "started\n"]);
      assert.ok(late.durationMs < 40_000);
    },
  ),

  onMounted("arguments are bytes", async (workspace) => {
    const odd = Buffer.from([0xff, 0xfe]);
    const { bytes } = await workspace.exec("printf", ["[%s]", "", odd, "--", "a  b"], PIPES);
    assert.equal(bytes.toString("latin1"), "[][\xff\xfe][--][a  b]");
  }),
];

const spawnCases: ContractCase[] = [
  onMounted("write, end, wait; processes lists it meanwhile", async (workspace) => {
    const process = await workspace.spawn("cat", [], PIPES);
    assert.ok(process.pid > 0);
    const [record] = await workspace.processes();
    assert.deepEqual([record?.pid, record?.command], [process.pid, "cat"]);
    const echoed = seen(process, "one");
    await process.write("one");
    await echoed;
    await process.end();
    const status = await process.wait();
    assert.deepEqual([status.exitCode, status.timedOut], [0, false]);
    assert.deepEqual(await workspace.processes(), []);
    assert.equal((await rejection(process.write("late")))["code"], "EPIPE");
    await process.kill();
  }),

  onMounted("resize reaches the program", async (workspace) => {
    const script = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.05; done";
    const process = await workspace.spawn("sh", ["-c", script], { pty: { cols: 80, rows: 24 } });
    let output = "";
    const ready = new Promise<void>((resolve) => {
      process.onOutput((chunk) => {
        output += chunk.toString();
        if (output.includes("ready")) resolve();
      });
    });
    await ready;
    await process.resize(120, 40);
    assert.equal((await process.wait()).exitCode, 5);
    assert.match(output, /40 120\r\n/);
    assert.equal((await rejection(process.resize(-1, 5)))["code"], "ERR_OUT_OF_RANGE");
  }),

  onMounted(
    "kill signals the group, also of one that does not read its input",
    async (workspace) => {
      const process = await workspace.spawn("sleep", ["60"], PIPES);
      const flood = process.write(Buffer.alloc(4_000_000));
      await process.kill("SIGTERM");
      const status = await process.wait();
      assert.deepEqual([status.exitCode, status.signal], [143, "SIGTERM"]);
      assert.equal((await rejection(flood))["code"], "EPIPE");
      const other = await workspace.spawn("sleep", ["60"]);
      const wrong = await rejection(other.kill("SIGNONE" as NodeJS.Signals));
      assert.equal(wrong["code"], "ERR_UNKNOWN_SIGNAL");
      await other.kill("SIGINT");
      assert.equal((await other.wait()).exitCode, 130);
    },
  ),

  onMounted("output before the first listener is kept; pause holds it back", async (workspace) => {
    const process = await workspace.spawn("sh", ["-c", "seq 1 50000"], PIPES);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const chunks: Buffer[] = [];
    let paused = false;
    process.onOutput((chunk) => {
      assert.equal(paused, false);
      chunks.push(chunk);
      if (chunks.length !== 1) return;
      process.pause();
      paused = true;
      setTimeout(() => ((paused = false), process.resume()), 150);
    });
    assert.equal((await process.wait()).exitCode, 0);
    const lines = Buffer.concat(chunks).toString().trimEnd().split("\n");
    assert.deepEqual([lines.length, lines.at(-1)], [50_000, "50000"]);
  }),

  onMounted(
    "a restore refuses while commands run, unless it may pause or kill them",
    async (workspace) => {
      const { fs } = workspace;
      await fs.writeFile("/f", "old");
      await workspace.snapshot({ name: "s" });
      const process = await workspace.spawn("sleep", ["60"], PIPES);
      await fs.writeFile("/f", "new");
      const refused = await rejection(workspace.restore("s"));
      assert.equal(refused["code"], "EBUSY");
      assert.match(refused.message, /sleep 60 \(pid \d+\)/);
      const { processes } = refused["details"] as { processes: { pid: number }[] };
      assert.deepEqual(
        processes.map(({ pid }) => pid),
        [process.pid],
      );
      await workspace.restore("s", { live: true });
      assert.match(readFileSync(`/proc/${process.pid}/stat`, "utf8"), / [RS] /);
      await workspace.restore(-1, { kill: true });
      assert.equal((await process.wait()).exitCode, 143);
      assert.equal(await fs.readFile("/f", "utf8"), "new");
    },
  ),

  onMounted(
    "unmount by force ends commands, without it says who is in the way",
    async (workspace) => {
      const process = await workspace.spawn("sleep", ["60"], PIPES);
      const busy = await rejection(workspace.unmount());
      assert.equal(busy["code"], "EBUSY");
      assert.match(busy.message, /sleep/);
      await workspace.unmount({ force: true });
      assert.ok((await process.wait()).exitCode > 128);
    },
  ),
];

export const commandCases: ContractCase[] = [...mountCases, ...execCases, ...spawnCases];
