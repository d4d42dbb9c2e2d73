// A mount never hangs (SEMANTICS S32): a daemon that is killed, stopped or stuck in its own mount
// leaves a mount point that answers with an error within 10 s, and that can be mounted again.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { mountAt, probe } from "../harness/mounts.ts";
import { argvOf, childrenOf, isAlive } from "../harness/processes.ts";
import { sleep, until } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

const LIMIT_MS = 10_000;

/** Until the mount point is plain again or answers with an error; it may not hang for longer. */
async function settled(path: string): Promise<void> {
  await until(
    "the end of the dead mount",
    async () => mountAt(path) === undefined || (await probe(path, 3000)) === "error",
    LIMIT_MS,
  );
}

forEachIdentity("watchdog", (who) => {
  test("kill -9: the mount point is cleared, and can be used at once", async () => {
    await using devdev = await Devdev.create(await who(), "watchdog");
    devdev.lenient = true;
    await devdev.mount();
    await devdev.sh("echo kept > f");
    await devdev.ok(["snapshot", "-w", devdev.mountPoint]);
    process.kill(await devdev.daemonPid(), "SIGKILL");
    const { durationMs } = await devdev.ok(["mount", devdev.mountPoint]);
    expect(durationMs).toBeLessThan(LIMIT_MS);
    expect((await devdev.exec(["cat", "f"])).stdout).toBe("kept\n");
    process.kill(await devdev.daemonPid(), "SIGKILL");
    await settled(devdev.mountPoint);
  });

  test("a late watchdog leaves alone what was mounted in the place of its own mount", async () => {
    await using devdev = await Devdev.create(await who(), "watchdog");
    devdev.lenient = true;
    await devdev.mount();
    await devdev.sh("echo kept > f");
    await devdev.ok(["snapshot", "-w", devdev.mountPoint]);
    const pid = await devdev.daemonPid();
    const watchdogs = childrenOf(pid).filter((child) => argvOf(child).includes("watchdog"));
    expect(watchdogs).toHaveLength(1);
    const [watchdog] = watchdogs as [number];
    process.kill(watchdog, "SIGSTOP");
    process.kill(pid, "SIGKILL");
    // Nobody refuses what is asked there now: it does not answer, and only its user may decide.
    const doctor = await devdev.cli(["doctor"]);
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toContain(`what is mounted on ${devdev.mountPoint} does not answer`);
    const detach = devdev.identity.name === "root" ? ["umount", "-l"] : ["fusermount3", "-uz"];
    await devdev.mustHost([...detach, devdev.mountPoint]);
    await devdev.ok(["mount", devdev.mountPoint]);
    process.kill(watchdog, "SIGCONT");
    await until("the end of the watchdog", () => !isAlive(watchdog), LIMIT_MS);
    expect(mountAt(devdev.mountPoint)).toBeDefined();
    expect((await devdev.exec(["cat", "f"])).stdout).toBe("kept\n");
  });

  test("kill -9 while processes read, write and wait in the mount: none hangs", async () => {
    await using devdev = await Devdev.create(await who(), "watchdog");
    devdev.lenient = true;
    await devdev.mount();
    const script = `cd ${devdev.mountPoint} || exit 7; while :; do
      echo x > f$1 || exit 7; cat f$1 >/dev/null || exit 7
      find . >/dev/null || exit 7; done`;
    const [file, ...args] = devdev.identity.wrap(["sh", "-c", script, "sh"]);
    const users = [1, 2, 3, 4].map((n) => {
      const child = spawn(file!, [...args, String(n)], { cwd: "/", stdio: "ignore" });
      return { child, ended: new Promise<number | null>((resolve) => child.on("exit", resolve)) };
    });
    const at = (n: number) => join(devdev.mountPoint, `f${n}`);
    const work = async () => (await devdev.host(["ls", ...[1, 2, 3, 4].map(at)])).code === 0;
    await until("the four at work", work);
    process.kill(await devdev.daemonPid(), "SIGKILL");
    await settled(devdev.mountPoint);
    const limit = sleep(LIMIT_MS).then(() => "still waiting" as const);
    for (const { child, ended } of users) {
      expect(await Promise.race([ended, limit])).toBe(7);
      expect(isAlive(child.pid!)).toBe(false);
    }
  });

  test("a daemon that is stopped (SIGSTOP) is left alone, and serves again", async () => {
    await using devdev = await Devdev.create(await who(), "watchdog");
    await devdev.mount();
    const pid = await devdev.daemonPid();
    process.kill(pid, "SIGSTOP");
    const reading = devdev.host(["ls", devdev.mountPoint], { timeoutMs: 30_000 });
    await sleep(12_000);
    process.kill(pid, "SIGCONT");
    expect((await reading).code).toBe(0);
    await devdev.sh("echo alive > f && cat f");
  }, 60_000);

  test("doctor sees a healthy host, and clears a dead mount", async () => {
    await using devdev = await Devdev.create(await who(), "watchdog");
    devdev.lenient = true;
    await devdev.mount();
    const healthy = await devdev.json<{
      healthy: boolean;
      checks: { name: string; ok: boolean }[];
    }>(["doctor"]);
    expect(healthy.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(healthy.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["store", "FUSE device", "git"]),
    );
    // Without its watchdog nobody but the doctor clears it.
    const pid = await devdev.daemonPid();
    for (const child of childrenOf(pid).filter((one) => argvOf(one).includes("watchdog"))) {
      process.kill(child, "SIGKILL");
    }
    process.kill(pid, "SIGKILL");
    await until("the end of the daemon", () => !isAlive(pid), LIMIT_MS);
    expect(mountAt(devdev.mountPoint)).toBeDefined();
    expect((await devdev.ok(["doctor"])).stdout).toContain(`cleared: ${devdev.mountPoint}`);
    expect(mountAt(devdev.mountPoint)).toBeUndefined();
  });

  test("a daemon killed while a thread of it waits in its own mount does not linger", async () => {
    await using devdev = await Devdev.create(await who(), "watchdog");
    devdev.lenient = true;
    await devdev.mount();
    await devdev.sh("head -c 30000000 /dev/urandom > big && mkfifo p");
    const pid = await devdev.daemonPid();
    // The daemon reads a file of its own mount on request of nobody but this test: import from it.
    const own = join(devdev.mountPoint, "big");
    const importing = devdev.cli(["import", own], { timeoutMs: 20_000 });
    await sleep(60);
    process.kill(pid, "SIGKILL");
    await until("the daemon's end", () => !isAlive(pid), LIMIT_MS);
    await settled(devdev.mountPoint);
    await importing;
    expect((await devdev.ok(["mount", devdev.mountPoint])).durationMs).toBeLessThan(LIMIT_MS);
  });
});
