// Real process trees, with and without cgroups: listing, pausing, ending.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { afterAll, afterEach, describe, expect, test } from "vitest";

import { CgroupHome } from "./cgroup.js";
import { Executor } from "./executor.js";
import { isStopped } from "./process-table.js";

const helperPath =
  process.env["DEVDEV_HELPER"] ??
  fileURLToPath(new URL("../../../native/bin/devdev-helper", import.meta.url));
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "devdev-executor-"));
const home = CgroupHome.open();
const env = { PATH: "/usr/bin:/bin" };

afterAll(() => {
  home?.close();
  fs.rmSync(scratch, { recursive: true });
});

const variants: [string, CgroupHome | undefined][] = [["process groups", undefined]];
if (home) variants.push(["cgroups", home]);

describe.each(variants)("with %s", (_, cgroups) => {
  const executor = new Executor({ helperPath, cgroups });
  const sh = (script: string, pty = false) =>
    executor.spawn({
      argv: ["sh", "-c", script],
      env,
      cwd: "/",
      stdin: "ignore",
      ...(pty && { pty: { cols: 80, rows: 24 } }),
    });
  const file = path.join(scratch, cgroups ? "cgroup" : "group");
  const size = () => (fs.existsSync(file) ? fs.statSync(file).size : 0);

  afterEach(async () => {
    await executor.terminate(0);
    fs.rmSync(file, { force: true });
  });

  test("processes lists the command, its children and what it left behind", async () => {
    const running = await sh("sleep 61 & sleep 62; :");
    const commands = () => executor.processes().map(({ command }) => command);
    await expect.poll(commands).toEqual(["sh -c sleep 61 & sleep 62; :", "sleep", "sleep"]);
    expect(executor.processes()[0]).toMatchObject({ pid: running.pid });
    process.kill(running.pid, "SIGTERM");
    await running.wait();
    await expect.poll(commands).toEqual(["sleep", "sleep"]);
  });

  test.each([false, true])(
    "pause stops a counter, resume lets it go on (terminal: %s)",
    async (pty) => {
      const loop = `while :; do echo . >>${file}; done`;
      const running = await sh(`setsid sh -c '${loop}' & (${loop}) & ${loop}`, pty);
      await expect.poll(size).toBeGreaterThan(100);
      const paused = await executor.pause({ deadlineMs: 30_000 });
      expect(paused.running).toEqual([]);
      const before = size();
      await sleep(150);
      expect(size()).toBe(before);
      paused.resume();
      await expect.poll(size).toBeGreaterThan(before);
      expect(running.group.list().length).toBeGreaterThanOrEqual(3);
    },
  );

  test("a shell that starts one command after the other is caught every time", async () => {
    const running = await sh("while :; do /bin/true; done");
    for (let round = 0; round < 40; round++) {
      const paused = await executor.pause({ deadlineMs: 30_000 });
      expect(paused.running).toEqual([]);
      paused.resume();
      await sleep(round % 5);
    }
    expect(running.group.list().length).toBeGreaterThan(0);
  });

  test("what was stopped before a pause stays stopped after it", async () => {
    const running = await sh("sleep 63 & kill -STOP $!; sleep 64");
    const stopped = () => running.group.list().filter(isStopped).length;
    await expect.poll(stopped).toBe(1);
    (await executor.pause()).resume();
    await sleep(50);
    expect(stopped()).toBe(1);
  });

  test("a job in a session of its own ends with the command's tree", async () => {
    const running = await sh(
      `trap '' TERM; setsid sh -c "trap '' TERM; echo up >${file}; sleep 65; sleep 66"; :`,
    );
    await expect.poll(size).toBe(3);
    await expect.poll(() => running.group.list().length).toBe(3);
    await running.terminate(100);
    expect(running.group.list()).toEqual([]);
    expect(await running.wait()).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  test("a command that ended is forgotten, with its cgroup", async () => {
    const running = await sh("exit 3");
    expect(await running.wait()).toMatchObject({ exitCode: 3 });
    const left = () =>
      cgroups ? fs.readdirSync(cgroups.dir).filter((e) => e.startsWith("exec-")) : [];
    await expect.poll(left).toEqual([]);
    expect(running.group.signal(0)).toBe(false);
  });
});

test.runIf(home)("a cgroup knows a process that left its session twice over", async () => {
  const executor = new Executor({ helperPath, cgroups: home });
  const argv = ["sh", "-c", "(setsid setsid sleep 67 &) ; sleep 0.1"];
  const running = await executor.spawn({ argv, env, cwd: "/", stdin: "ignore" });
  await running.wait();
  const commands = () => executor.processes().map(({ command }) => command);
  await expect.poll(commands).toEqual(["sleep"]);
  await executor.terminate(1000);
  expect(executor.processes()).toEqual([]);
});

test("a cgroup that takes no process is done without", async () => {
  const dir = path.join(scratch, "no-cgroup");
  const broken = {
    create: () => ({ procsFile: path.join(dir, "cgroup.procs"), remove: () => true }),
  };
  const executor = new Executor({ helperPath, cgroups: broken as unknown as CgroupHome });
  const running = await executor.spawn({ argv: ["true"], env, cwd: "/" });
  expect(await running.wait()).toMatchObject({ exitCode: 0 });
});

test.skipIf(home)("the freezer is not tested: there is no cgroup v2 that may be written", () => {
  expect(home).toBeUndefined();
});

test.runIf(home)("each cgroup home is its own, and goes when it is closed empty", () => {
  const own = CgroupHome.open()!;
  expect(own.dir).not.toBe(home?.dir);
  const group = own.create();
  own.close();
  expect(fs.existsSync(own.dir)).toBe(true);
  group.remove();
  own.close();
  expect(fs.existsSync(own.dir)).toBe(false);
});
