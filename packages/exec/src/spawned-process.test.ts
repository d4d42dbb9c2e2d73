// Real commands through the built helper (native/bin/devdev-helper, or DEVDEV_HELPER), no mount.
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, test } from "vitest";

import { LaunchError } from "./launch-error.js";
import { type SpawnedProcess, spawnProcess, type SpawnOptions } from "./spawned-process.js";

const helperPath =
  process.env["DEVDEV_HELPER"] ??
  fileURLToPath(new URL("../../../native/bin/devdev-helper", import.meta.url));
const PATH = "/usr/local/bin:/usr/bin:/bin";
const TERMINAL = { cols: 80, rows: 24 };
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "devdev-exec-"));
afterAll(() => fs.rmSync(scratch, { recursive: true }));

type Options = Partial<SpawnOptions>;

const spawn = (argv: SpawnOptions["argv"], options: Options = {}) =>
  spawnProcess({ helperPath, argv, env: { PATH }, cwd: "/", stdin: "ignore", ...options });
const sh = (script: string, options: Options = {}) => spawn(["sh", "-c", script], options);

async function collect(running: SpawnedProcess) {
  const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  running.onOutput((chunk, name) => parts[name].push(chunk));
  const status = await running.wait();
  const bytes = Buffer.concat(parts.stdout);
  return {
    ...status,
    bytes,
    stdout: bytes.toString(),
    stderr: Buffer.concat(parts.stderr).toString(),
  };
}

const run = async (script: string, options?: Options) => collect(await sh(script, options));

async function refused(running: Promise<SpawnedProcess>): Promise<LaunchError> {
  const error = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LaunchError);
  return error as LaunchError;
}

describe.each([
  ["pipes", undefined],
  ["a terminal", TERMINAL],
])("on %s", (_, pty) => {
  test("the exit code is the command's", async () => {
    expect(await run("exit 7", { pty })).toMatchObject({ exitCode: 7, timedOut: false });
    expect(await run("exit 0", { pty })).toMatchObject({ exitCode: 0 });
  });

  test("a signal is 128 + n, and named", async () => {
    const result = await run("kill -USR1 $$", { pty });
    expect(result).toMatchObject({
      exitCode: 128 + os.constants.signals.SIGUSR1,
      signal: "SIGUSR1",
    });
  });

  test("kill reaches the whole process group", async () => {
    const running = await sh("sleep 50 | sleep 50; echo not reached", { pty });
    await running.kill();
    expect(await collect(running)).toMatchObject({ exitCode: 143, signal: "SIGTERM", stdout: "" });
    await expect.poll(() => running.group.list()).toEqual([]);
  });

  test("the environment is exactly what was given, the umask too", async () => {
    const env = { PATH, A: "b=c", EMPTY: "", Ü: "ß\n" };
    const running = await spawn(["env", "-0"], { pty, env });
    const { stdout } = await collect(running);
    const expected = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    expect(stdout.replaceAll("\r\n", "\n").split("\0").filter(Boolean).sort()).toEqual(
      expected.sort(),
    );
    expect((await run("umask", { pty, umask: 0o27 })).stdout.trim()).toBe("0027");
  });

  test("argv and working directory arrive as bytes", async () => {
    const name = Buffer.from([0xff, 0x2f, 0xfe]);
    const cwd = Buffer.concat([Buffer.from(`${scratch}/`), Buffer.from([0xe9])]);
    fs.mkdirSync(cwd, { recursive: true });
    const running = await spawn(["sh", "-c", 'printf %s "$1" | od -An -tx1; pwd', "sh", name], {
      pty,
      cwd,
      env: { PATH, LC_ALL: "C" },
    });
    const { bytes } = await collect(running);
    expect(bytes.toString()).toContain("ff 2f fe");
    expect(bytes.includes(cwd)).toBe(true);
  });

  test("no signal is ignored or blocked, no descriptor is left over", async () => {
    const { stdout } = await run("grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd", {
      pty,
    });
    expect([...stdout.matchAll(/Sig\w+:\s*(\w+)/g)].map(([, mask]) => mask)).toEqual([
      "0000000000000000",
      "0000000000000000",
    ]);
    // 3 is the directory that ls reads.
    expect(stdout.split(/\s+/).filter((word) => /^\d$/.test(word))).toEqual(["0", "1", "2", "3"]);
  });

  test("it leads a session of its own", async () => {
    const running = await sh("cut -d' ' -f1,5,6 /proc/$$/stat", { pty });
    expect((await collect(running)).stdout.trim()).toBe(Array(3).fill(running.pid).join(" "));
  });

  test("a paused reader gets everything, also long after the end", async () => {
    const running = await sh("seq 1 2000", { pty });
    let size = 0;
    running.onOutput((chunk) => (size += chunk.length));
    running.pause();
    const ended = running.wait();
    await sleep(400);
    expect(size).toBe(0);
    running.resume();
    await ended;
    expect(size).toBe(pty ? 10_893 : 8893);
  });

  test("a time limit keeps the output and takes a tree that ignores TERM", async () => {
    const running = await sh(
      "trap '' TERM; (sleep 60; echo no) & echo partial; sleep 60; sleep 60",
      {
        pty,
        timeoutMs: 2000,
        killGraceMs: 200,
      },
    );
    const result = await collect(running);
    expect(result).toMatchObject({
      exitCode: 124,
      timedOut: true,
      stdout: expect.stringMatching(/^partial\r?\n$/),
    });
    await expect.poll(() => running.group.list()).toEqual([]);
    expect(result.durationMs).toBeLessThan(40_000);
  });

  test("not found is 127, not executable 126, a bad directory 125", async () => {
    const file = path.join(scratch, "plain");
    fs.writeFileSync(file, "echo hi\n", { mode: 0o644 });
    const missing = await refused(spawn(["no-such-command"], { pty }));
    expect(missing).toMatchObject({
      exitCode: 127,
      stage: "lookup",
      code: "ENOENT",
      path: "no-such-command",
    });
    expect(missing.message).toBe(`no-such-command: not found on PATH (${PATH})`);
    expect(await refused(spawn(["./nothing"], { pty }))).toMatchObject({ exitCode: 127 });
    expect(await refused(spawn([file], { pty }))).toMatchObject({ exitCode: 126, code: "EACCES" });
    expect(await refused(spawn(["/usr"], { pty }))).toMatchObject({
      exitCode: 126,
      code: "EACCES",
    });
    const lost = await refused(spawn(["true"], { pty, cwd: "/no/where" }));
    expect(lost).toMatchObject({
      exitCode: 125,
      stage: "chdir",
      code: "ENOENT",
      path: "/no/where",
    });
  });

  test("a script without a format is run by sh, one without its interpreter is 126", async () => {
    const script = path.join(scratch, "script");
    fs.writeFileSync(script, 'echo "ran with $1"\n', { mode: 0o755 });
    expect((await collect(await spawn([script, "x"], { pty }))).stdout.trim()).toBe("ran with x");
    fs.writeFileSync(script, "#!/no/interpreter\n");
    expect(await refused(spawn([script], { pty }))).toMatchObject({ exitCode: 126, stage: "exec" });
  });
});

describe("pipes", () => {
  test("stdout and stderr are apart, and can be opened by name", async () => {
    const result = await run("echo out; echo err >/dev/stderr; echo more >>/dev/stdout");
    expect(result).toMatchObject({ stdout: "out\nmore\n", stderr: "err\n", exitCode: 0 });
  });

  test("32 MiB go in and come out", async () => {
    const input = randomBytes(32 * 2 ** 20);
    const running = await spawn(["cat"], { stdin: "pipe" });
    const result = collect(running);
    await running.write(input);
    await running.end();
    expect((await result).bytes.equals(input)).toBe(true);
  });

  test("input that nobody reads is refused with EPIPE", async () => {
    const running = await spawn(["true"], { stdin: "pipe" });
    await running.wait();
    await expect(running.write("x")).rejects.toMatchObject({ code: "EPIPE" });
  });

  test("a background process outlives the command and its output pipe", async () => {
    const file = path.join(scratch, "late");
    const running = await sh(`(sleep 0.4; echo to-nobody; echo alive >${file}) & echo now`);
    expect(await collect(running)).toMatchObject({ stdout: "now\n", exitCode: 0 });
    expect(running.group.list().length).toBeGreaterThan(0);
    await expect.poll(() => fs.existsSync(file) && fs.readFileSync(file, "utf8")).toBe("alive\n");
    await expect.poll(() => running.group.list()).toEqual([]);
  });

  test("limits hold", async () => {
    const limits = { nofile: { soft: 32, hard: 32 } } as const;
    expect((await run("ulimit -n", { limits })).stdout).toBe("32\n");
  });

  test("a launcher that is missing or silent is an error in time", async () => {
    const gone = await refused(spawn(["true"], { helperPath: "/no/helper" }));
    expect(gone).toMatchObject({ exitCode: 125, stage: "connect", code: "ENOENT" });
    const silent = path.join(scratch, "silent");
    fs.writeFileSync(silent, "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
    const late = await refused(spawn(["true"], { helperPath: silent, launchTimeoutMs: 200 }));
    expect(late).toMatchObject({ exitCode: 125, stage: "connect", code: "ETIMEDOUT" });
  });
});

test("what cannot be sent is refused before anything starts", async () => {
  await expect(spawn([])).rejects.toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
  await expect(spawn(["a\0b"])).rejects.toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
  await expect(spawn(["a"], { env: { "A=B": "" } })).rejects.toBeInstanceOf(TypeError);
  await expect(spawn(["a"], { pty: { cols: -1, rows: 5 } })).rejects.toBeInstanceOf(RangeError);
});
