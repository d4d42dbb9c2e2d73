// Real commands on a terminal: what pipes do not have. What both share: spawned-process.test.ts.
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { type SpawnedProcess, spawnProcess, type SpawnOptions } from "./spawned-process.js";

const helperPath =
  process.env["DEVDEV_HELPER"] ??
  fileURLToPath(new URL("../../../native/bin/devdev-helper", import.meta.url));
const env = { PATH: "/usr/bin:/bin" };
const TERMINAL = { cols: 80, rows: 24 };

const spawn = (argv: string[], options: Partial<SpawnOptions> = {}) =>
  spawnProcess({ helperPath, argv, env, cwd: "/", stdin: "ignore", pty: TERMINAL, ...options });
const sh = (script: string, options?: Partial<SpawnOptions>) =>
  spawn(["sh", "-c", script], options);

async function collect(running: SpawnedProcess) {
  const parts: Buffer[] = [];
  running.onOutput((chunk) => parts.push(chunk));
  const status = await running.wait();
  return { ...status, stdout: Buffer.concat(parts).toString() };
}

/** Resolves when the output so far matches. */
function seen(running: SpawnedProcess, pattern: RegExp): Promise<string> {
  let text = "";
  return new Promise((resolve) => {
    running.onOutput((chunk) => {
      text += chunk.toString();
      if (pattern.test(text)) resolve(text);
    });
  });
}

test("loses nothing of `seq 1 20000` in 100 runs", { timeout: 240_000 }, async () => {
  for (let round = 0; round < 100; round++) {
    const { stdout } = await collect(await spawn(["seq", "1", "20000"]));
    expect(stdout.length).toBe(128_894);
    expect(stdout.endsWith("\r\n20000\r\n")).toBe(true);
  }
});

test("takes a megabyte of input", async () => {
  const running = await sh("stty -echo -icanon min 1; echo ready; head -c 1000000 | sha256sum", {
    stdin: "pipe",
  });
  const input = Buffer.from("0123456789abcde\n".repeat(62_500));
  let text = "";
  running.onOutput((chunk) => {
    if (text === "") void running.write(input);
    text += chunk.toString();
  });
  expect((await running.wait()).exitCode).toBe(0);
  expect(text).toContain(createHash("sha256").update(input).digest("hex"));
});

test("has the size it was given, and that of the last resize", async () => {
  const running = await sh(
    "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done",
    {
      pty: { cols: 91, rows: 31 },
    },
  );
  let text = "";
  running.onOutput((chunk) => (text += chunk.toString()));
  await expect.poll(() => text).toBe("31 91\r\n");
  await Promise.all([running.resize(100, 40), running.resize(101, 41), running.resize(120, 50)]);
  await running.wait();
  expect(text).toMatch(/\r\n50 120\r\n$/);
  await running.resize(1, 1);
});

test("Ctrl-C interrupts, Ctrl-D ends the input also in the middle of a line", async () => {
  const sleeping = await sh("echo ready; exec sleep 60", { stdin: "pipe" });
  await seen(sleeping, /ready/);
  await sleeping.write("\x03");
  expect(await sleeping.wait()).toMatchObject({ exitCode: 130, signal: "SIGINT" });
  const cat = await spawn(["cat"], { stdin: "pipe" });
  await cat.write("whole\npart");
  await cat.end();
  expect((await collect(cat)).exitCode).toBe(0);
});

test("is the controlling terminal, and closing it hangs up what is left", async () => {
  const running = await sh("echo through >/dev/tty; sleep 60 & echo $!");
  expect((await collect(running)).stdout).toMatch(/^through\r\n\d+\r\n$/);
  await expect.poll(() => running.group.list()).toEqual([]);
});
