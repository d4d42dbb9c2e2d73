// The daemon from outside: start, stop, status, logs, one for each home, private to its user, and
// what is there again after a stop and after a crash (SEMANTICS S20, S28).

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { mountAt } from "../harness/mounts.ts";
import { isAlive, processesOf } from "../harness/processes.ts";
import { run, until } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

interface Status {
  pid: number;
  version: string;
  uptimeMs: number;
  home: string;
  socket: string;
  memory: { rss: number };
  workspaces: { name: string; mountPoint?: string }[];
}

interface WorkspaceStatus {
  usage: { bytes: number; inodes: number; dirtyBytes: number; lastCheckpointAt?: number };
  processes: { pid: number; command: string }[];
}

forEachIdentity("daemon", (who) => {
  test("start, status, stop; a second start finds the first", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    const none = await devdev.cli(["daemon", "status"]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/no daemon is running/)]);
    await devdev.ok(["daemon", "start"]);
    const status = await devdev.json<Status>(["daemon", "status"]);
    expect(status.home).toBe(devdev.home);
    expect(status.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(status.memory.rss).toBeGreaterThan(1e6);
    expect(status.uptimeMs).toBeGreaterThan(0);
    expect(status.workspaces).toEqual([]);
    expect(isAlive(status.pid)).toBe(true);
    await devdev.ok(["daemon", "start"]);
    expect(await devdev.daemonPid()).toBe(status.pid);
    await devdev.ok(["daemon", "stop"]);
    expect(isAlive(status.pid)).toBe(false);
    expect(processesOf(devdev.directory)).toEqual([]);
    expect(existsSync(status.socket)).toBe(false);
    expect((await devdev.cli(["daemon", "stop"])).code).toBe(1);
  });

  test("started by ten commands at once there is one", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    const all = await Promise.all(Array.from({ length: 10 }, () => devdev.cli(["ls", "--json"])));
    expect(all.map(({ code }) => code)).toEqual(Array(10).fill(0));
    const pid = await devdev.daemonPid();
    // Those that came too late may still be on their way out.
    const daemons = () => processesOf(devdev.directory).map((entry) => entry.pid);
    await expect.poll(daemons).toEqual([pid]);
  });

  test("socket and data are private; no port is open", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mount();
    const status = await devdev.json<Status>(["daemon", "status"]);
    expect(statSync(status.socket).mode & 0o777).toBe(0o600);
    expect(statSync(join(devdev.home, "run")).mode & 0o077).toBe(0);
    expect(statSync(join(devdev.home, "store")).mode & 0o077).toBe(0);
    const ports = await run([
      "sh",
      "-c",
      `ls -l /proc/${status.pid}/fd | grep -c 'socket:' ; cat /proc/${status.pid}/net/tcp | wc -l`,
    ]);
    expect(ports.code).toBe(0);
    const nobodyMay = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test"];
    const nobody = await run([...nobodyMay, "-w", status.socket]);
    expect(nobody.code).not.toBe(0);
  });

  test("logs: the last lines, JSON lines with --json, --follow goes on", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mount();
    const { stdout } = await devdev.ok(["daemon", "logs", "-n", "5"]);
    expect(stdout.trim().split("\n").length).toBeLessThanOrEqual(5);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT\S+ (TRACE|DEBUG|INFO|WARN|ERROR) /m);
    const json = await devdev.ok(["daemon", "logs", "--json"]);
    const lines = json.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string });
    expect(lines.length).toBeGreaterThan(0);
    expect(readdirSync(join(devdev.home, "log")).length).toBeGreaterThan(0);
    const bin = join(devdev.identity.checkout, "bin/devdev");
    const script = `${bin} daemon logs -f -n 0 | grep -m 1 -o no-such-snapshot`;
    let ended = false;
    const following = devdev.host(["sh", "-c", script], { timeoutMs: 90_000 });
    void following.then(() => (ended = true));
    // Again and again: when it begins to follow nobody says.
    await until(
      "the line",
      async () => {
        await devdev.cli(["restore", "-w", devdev.mountPoint, "no-such-snapshot"]);
        return ended;
      },
      60_000,
    );
    expect((await following).stdout).toMatch(/no-such-snapshot/);
  });

  test("logs -f ends quietly with the daemon, which stops at once when nothing is mounted", async () => {
    // It was a second and more each time when something on the way out waited for a client; a busy
    // machine is slow at times, with any command.
    const took: number[] = [];
    while (took.length < 8 && !(Math.min(...took) < 1000)) {
      await using devdev = await Devdev.create(await who(), "daemon");
      await devdev.ok(["daemon", "start"]);
      const bin = join(devdev.identity.checkout, "bin/devdev");
      const log = join(devdev.directory, "log");
      const following = devdev.host(["sh", "-c", `exec "$0" daemon logs -f > "$1"`, bin, log]);
      const said = () => (existsSync(log) ? readFileSync(log, "utf8") : "");
      await until("the log", () => said().includes("INFO listening"), 30_000);
      const any = await devdev.ok(["daemon", "status"]);
      took.push((await devdev.ok(["daemon", "stop"])).durationMs - any.durationMs);
      const { code, stderr } = await following;
      expect([code, stderr]).toEqual([0, ""]);
      expect(said()).toMatch(/INFO listening .*\n.*INFO stopping .*\n.*INFO stopped\n$/);
    }
    expect(Math.min(...took)).toBeLessThan(1000);
  });

  test("its files are its user's alone, also in a home that others may enter", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mustHost(["mkdir", "-m", "755", devdev.home, `${devdev.home}/log`]);
    await devdev.mustHost(["sh", "-c", `umask 022; echo old > ${devdev.home}/log/daemon.1.log`]);
    await devdev.mount();
    const { stdout } = await devdev.mustHost([
      "find",
      devdev.home,
      "-mindepth",
      "1",
      "-perm",
      "/77",
    ]);
    expect(stdout).toBe("");
    expect(statSync(devdev.home).mode & 0o777).toBe(0o755);
  });

  test("SIGTERM checkpoints and unmounts; the next mount has everything", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mount();
    await devdev.sh("mkdir d && echo kept > d/f && ln d/f hard && ln -s d/f soft && chmod 640 d/f");
    const pid = await devdev.daemonPid();
    await devdev.mustHost(["kill", "-TERM", String(pid)]);
    await until("the daemon's end", () => !isAlive(pid), 30_000);
    expect(mountAt(devdev.mountPoint)).toBeUndefined();
    await devdev.mount();
    const { stdout } = await devdev.sh("cat soft; stat -c '%a %h' d/f; ls");
    expect(stdout).toBe("kept\n640 2\nd\nhard\nsoft\n");
  });

  test("S47 after kill -9 everyone is told that it is not mounted and what is seen of it", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mount();
    await devdev.sh("echo old > file");
    await devdev.ok(["snapshot", "-w", "ws", "--name", "first"]);
    process.kill(await devdev.daemonPid(), "SIGKILL");
    const started = Date.now();
    const told = new RegExp(
      `^devdev: workspace ws was mounted at ${devdev.mountPoint} when its daemon ended without ` +
        `warning; this is its checkpoint of [0-9: -]+; \`devdev mount ${devdev.mountPoint}\` brings it back\n$`,
    );
    for (const command of [["diff"], ["snapshot"], ["export", "file"], ["restore", "first"]]) {
      const { stderr } = await devdev.ok([...command, "-w", "ws"]);
      expect(stderr).toMatch(told);
    }
    const exec = await devdev.cli(["exec", "-w", "ws", "-T", "--", "true"]);
    expect(exec.code).toBe(125);
    expect(exec.stderr).toContain(
      `workspace ws is not mounted: it cannot run commands (it was mounted at ${devdev.mountPoint}`,
    );
    expect(exec.stderr).toContain(`\`devdev mount ${devdev.mountPoint}\` brings it back`);
    expect((await devdev.ok(["status", "-w", "ws"])).stdout).toContain(
      "\ninterrupted  workspace ws",
    );
    expect((await devdev.ok(["ls"])).stdout).toMatch(/interrupted/);
    // Not the state of the snapshot that was taken since, and also after an orderly stop.
    await devdev.ok(["daemon", "stop"]);
    type Listed = { interrupted?: { mountPoint: string; checkpointAt: number } }[];
    const [listed] = await devdev.json<Listed>(["ls"]);
    expect(listed?.interrupted?.mountPoint).toBe(devdev.mountPoint);
    expect(listed?.interrupted?.checkpointAt).toBeGreaterThan(started - 60_000);
    const mounted = await devdev.ok(["mount", devdev.mountPoint]);
    expect(mounted.stdout).toMatch(/ mounted at .*, as of its checkpoint of [0-9: -]+\n$/);
    expect((await devdev.exec(["cat", "file"])).stdout).toBe("old\n");
    await devdev.ok(["unmount", "-w", "ws"]);
    await devdev.ok(["daemon", "stop"]);
    const [after] = await devdev.json<Listed>(["ls"]);
    expect(after).not.toHaveProperty("interrupted");
    expect((await devdev.ok(["diff", "-w", "ws"])).stderr).toBe("");
  });

  test("S28 after kill -9 the last checkpoint is back", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mount();
    await devdev.sh("echo old > file");
    const status = (): Promise<WorkspaceStatus> => devdev.json(["status", "-w", devdev.mountPoint]);
    await until("a checkpoint", async () => (await status()).usage.dirtyBytes === 0, 30_000);
    const pid = await devdev.daemonPid();
    await devdev.sh("echo new > other");
    process.kill(pid, "SIGKILL");
    await devdev.mount();
    expect((await devdev.exec(["cat", "file"])).stdout).toBe("old\n");
    expect(await devdev.daemonPid()).not.toBe(pid);
  });

  test("status shows what a crash would lose, and which commands run", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    await devdev.mount();
    const status = (): Promise<WorkspaceStatus> => devdev.json(["status", "-w", devdev.mountPoint]);
    const empty = await status();
    await devdev.sh("head -c 3000000 /dev/urandom > big");
    expect((await status()).usage.bytes - empty.usage.bytes).toBeGreaterThanOrEqual(3_000_000);
    const sleeping = devdev.exec(["sleep", "4"]);
    const running = await until(
      "the command in the list",
      async () => (await status()).processes[0],
    );
    expect(running.command).toMatch(/sleep 4/);
    expect(isAlive(running.pid)).toBe(true);
    await sleeping;
    expect((await status()).processes).toEqual([]);
    await until("a checkpoint", async () => (await status()).usage.dirtyBytes === 0, 30_000);
  });

  test("without DEVDEV_HOME everything is below HOME and the runtime directory", async () => {
    await using devdev = await Devdev.create(await who(), "daemon");
    const inFile = await devdev.cli(["ls"], { env: { DEVDEV_HOME: "/dev/null/x" } });
    expect(inFile.stderr).toMatch(
      /^devdev: cannot make the directory \/dev\/null\/x: not a directory\n.*\(DEVDEV_HOME\)\n$/,
    );
    const nowhere = await devdev.cli(["ls"], { env: { DEVDEV_HOME: "/proc/nowhere" } });
    expect(nowhere.stderr).toMatch(/^devdev: cannot make the directory \/proc\/nowhere: .+\n/);
    const runtime = join(devdev.directory, "runtime");
    await devdev.mustHost(["mkdir", "-m", "700", runtime]);
    const env = { DEVDEV_HOME: "", XDG_RUNTIME_DIR: runtime };
    await devdev.ok(["mount", devdev.mountPoint], { env });
    expect(existsSync(join(devdev.env["HOME"]!, ".devdev/store/devdev.sqlite"))).toBe(true);
    expect(existsSync(join(runtime, "devdev/daemon.sock"))).toBe(true);
    await devdev.ok(["daemon", "stop"], { env });
    expect(mountAt(devdev.mountPoint)).toBeUndefined();
  });
});
