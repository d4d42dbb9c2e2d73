// devdev mount and unmount from outside: what is refused, in one clear sentence and without a
// trace; what is made and taken away again; who is in the way.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { isRoot } from "../harness/identity.ts";
import { offerIoUring } from "../harness/io-uring.ts";
import { mountAt } from "../harness/mounts.ts";
import { run, type RunResult, until } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

/** One sentence on stderr (a hint may follow), nothing on stdout, exit code 1. */
function expectRefusal(result: RunResult, words: RegExp): void {
  expect(result.stdout).toBe("");
  expect(result.stderr).toMatch(/^devdev: \S[^\n]*\n(        \S[^\n]*\n)?$/);
  expect(result.stderr).toMatch(words);
  expect(result.code).toBe(1);
}

/** `devdev mount` in a mount namespace that a script (of root) has changed. */
function mountUnder(devdev: Devdev, script: string): Promise<RunResult> {
  const bin = join(devdev.identity.checkout, "bin/devdev");
  const command = devdev.identity.wrap([bin, "mount", devdev.mountPoint]);
  const argv = ["unshare", "-m", "sh", "-euc", script, "sh", ...command];
  return run(argv, { env: devdev.env, cwd: "/" });
}

forEachIdentity("mount", (who, as) => {
  test("a mount point that does not exist is made, and removed at unmount", async () => {
    await using devdev = await Devdev.create(await who(), "mount");
    const { stdout } = await devdev.ok(["mount", devdev.mountPoint]);
    expect(stdout).toContain(devdev.mountPoint);
    expect(mountAt(devdev.mountPoint)?.type).toMatch(/^fuse/);
    await devdev.ok(["unmount", devdev.mountPoint]);
    expect(mountAt(devdev.mountPoint)).toBeUndefined();
    expect(existsSync(devdev.mountPoint)).toBe(false);
  });

  test("an empty directory of ours is used, and kept", async () => {
    await using devdev = await Devdev.create(await who(), "mount");
    await devdev.mustHost(["mkdir", "-m", "750", devdev.mountPoint]);
    await devdev.ok(["mount", devdev.mountPoint]);
    await devdev.sh("echo hello > file");
    await devdev.ok(["unmount", devdev.mountPoint]);
    const left = await devdev.mustHost(["stat", "-c", "%a", devdev.mountPoint]);
    expect(left.stdout).toBe("750\n");
    expect((await devdev.mustHost(["ls", "-A", devdev.mountPoint])).stdout).toBe("");
  });

  test("a file, a full directory, a mounted directory, somebody else's: refused", async () => {
    await using devdev = await Devdev.create(await who(), "mount");
    const at = (name: string): string => join(devdev.directory, name);
    await devdev.mustHost([
      "sh",
      "-c",
      `echo x > ${at("file")}; mkdir ${at("full")}; echo y > ${at("full")}/kept`,
    ]);
    expectRefusal(await devdev.cli(["mount", at("file")]), /file.*directory/);
    expectRefusal(await devdev.cli(["mount", at("full")]), /full.*not empty/);
    await devdev.mount();
    const again = await devdev.cli(["mount", "--name", "other", devdev.mountPoint]);
    expectRefusal(again, /already/);
    const kept = await devdev.mustHost(["cat", at("file"), `${at("full")}/kept`]);
    expect(kept.stdout).toBe("x\ny\n");
    expect((await devdev.json<unknown[]>(["ls"])).length).toBe(1);
  });

  test("requests come in over io_uring where that can be had, unless classic is asked for", async () => {
    await using ring = await offerIoUring();
    if (!ring.offered) return;
    await using devdev = await Devdev.create(await who(), "mount");
    const mount = ["mount", "--transport", "io_uring", devdev.mountPoint];
    expect((await devdev.json<{ transport: string }>(mount)).transport).toBe("io_uring");
    expect((await devdev.sh("echo hello > file && cat file")).stdout).toBe("hello\n");
    expect((await devdev.ok(["status"])).stdout).toContain(`${devdev.mountPoint} (io_uring`);
    expect((await devdev.cli(["doctor"])).stdout).toMatch(/FUSE over io_uring: on$/m);
    await devdev.ok(["unmount"]);
    await devdev.ok(["mount", "--transport", "classic", devdev.mountPoint]);
    expect((await devdev.json<{ transport: string }>(["status"])).transport).toBe("classic");
    expect((await devdev.sh("cat file")).stdout).toBe("hello\n");
    await devdev.ok(["unmount"]);
    const chosen = await devdev.json<{ transport: string }>(["mount", devdev.mountPoint]);
    expect(chosen.transport).toBe(process.env["DEVDEV_TRANSPORT"] ?? "io_uring");
  });

  test.runIf(as === "user")("where io_uring cannot be had, mount and status say why", async () => {
    await using ring = await offerIoUring();
    await using devdev = await Devdev.create(await who(), "mount");
    const bin = join(devdev.identity.checkout, "bin/devdev");
    const mount = `"${bin}" mount --transport io_uring "${devdev.mountPoint}"`;
    // The daemon that this starts may lock no memory, which rings take.
    const { stderr } = await devdev.mustHost(["sh", "-c", `ulimit -l 0; exec ${mount}`]);
    const reason = ring.offered ? "ulimit -l" : "the kernel";
    expect(stderr).toContain(reason);
    expect((await devdev.ok(["status"])).stdout).toMatch(/^ +not io_uring: ./m);
    const { whyClassic } = await devdev.json<{ whyClassic?: string }>(["status"]);
    expect(whyClassic).toContain(reason);
  });

  // For the ordinary user, but root must prepare it.
  const prepared = as === "user" && isRoot();

  test.runIf(prepared)("a directory of somebody else is refused", async () => {
    await using devdev = await Devdev.create(await who(), "mount");
    const theirs = join(devdev.directory, "theirs");
    mkdirSync(theirs);
    expectRefusal(await devdev.cli(["mount", theirs]), /theirs/);
    expect(mountAt(theirs)).toBeUndefined();
  });

  test.runIf(prepared)("without fusermount3: one sentence", async () => {
    await using devdev = await Devdev.create(await who(), "mount");
    const script = `mount --bind /dev/null "$(readlink -f /usr/bin/fusermount3)" && exec "$@"`;
    expectRefusal(await mountUnder(devdev, script), /fusermount3/);
    expect(existsSync(devdev.mountPoint)).toBe(false);
  });

  test.runIf(isRoot())("without /dev/fuse: one sentence", async () => {
    await using devdev = await Devdev.create(await who(), "mount");
    const dev = join(devdev.directory, "dev");
    mkdirSync(dev);
    const script = `mount -t tmpfs none ${dev} && cd ${dev} && mkdir pts shm
      cp -a /dev/null /dev/zero /dev/random /dev/urandom . && ln -s /proc/self/fd fd
      mount --rbind /dev/pts pts && cd / && mount --move ${dev} /dev && exec "$@"`;
    expectRefusal(await mountUnder(devdev, script), /\/dev\/fuse/);
    expect(existsSync(devdev.mountPoint)).toBe(false);
  });

  test("S34 a busy workspace names who uses it, and --force takes it away", async () => {
    await using devdev = await Devdev.create(await who(), "busy");
    await devdev.mount();
    const pidFile = join(devdev.directory, "inside");
    const inside = `cd ${devdev.mountPoint} && echo $$ > ${pidFile} && exec sleep 300`;
    const user = devdev.host(["sh", "-c", inside], { timeoutMs: 60_000 });
    await until("the process in the workspace", () => existsSync(pidFile));
    const refused = await devdev.cli(["unmount", devdev.mountPoint]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/sleep/);
    expect(refused.stderr).toMatch(/force/);
    expect(mountAt(devdev.mountPoint)).toBeDefined();
    await devdev.ok(["unmount", "--force", devdev.mountPoint]);
    expect(mountAt(devdev.mountPoint)).toBeUndefined();
    process.kill(Number(readFileSync(pidFile, "utf8")));
    await user;
  });

  test("a workspace is chosen by name, path, where one stands, or as the only one", async () => {
    await using devdev = await Devdev.create(await who(), "choose");
    await devdev.ok(["mount", "--name", "one", devdev.mountPoint]);
    const name = async (args: string[], cwd = devdev.directory) => {
      const bin = join(devdev.identity.checkout, "bin/devdev");
      const argv = ["sh", "-c", `cd "$0" && exec "$@"`, cwd, bin, "status", "--json", ...args];
      const result = await devdev.host(argv);
      return result.code === 0
        ? (JSON.parse(result.stdout) as { name: string }).name
        : result.stderr;
    };
    expect(await name([])).toBe("one");
    const second = join(devdev.directory, "second");
    await devdev.ok(["mount", "--name", "two", second]);
    await devdev.exec(["mkdir", "-p", "deep/er"]);
    expect(await name([])).toMatch(/one[\s\S]*two|two[\s\S]*one/);
    expect(await name(["-w", "two"])).toBe("two");
    expect(await name(["-w", second])).toBe("two");
    expect(await name([], join(devdev.mountPoint, "deep/er"))).toBe("one");
    expect(await name(["-w", "three"])).toMatch(/three/);
  });

  test("S6 --limit and --max-inodes end in ENOSPC, with nothing left unused, and in df", async () => {
    await using devdev = await Devdev.create(await who(), "limit");
    await devdev.ok(["mount", "--limit", "8m", "--max-inodes", "100", devdev.mountPoint]);
    const script = `head -c 20000000 /dev/zero | tr '\\0' x > big && exit 1
      test $(stat -c %s big) = 8388608 && rm big
      for i in $(seq 1 200); do echo > f$i || { echo "stopped at $i"; break; }; done`;
    const { stdout, stderr } = await devdev.exec(["sh", "-c", script]);
    expect(stderr).toMatch(/No space left on device/);
    expect(Number(/stopped at (\d+)/.exec(stdout)?.[1])).toBeLessThanOrEqual(100);
    const df = await devdev.mustHost(["df", "-B1", "--output=size,itotal", devdev.mountPoint]);
    expect(df.stdout.trim().split("\n").at(-1)?.trim().split(/\s+/)).toEqual(["8388608", "100"]);
    // What was removed leaves its room at once.
    const again = `for round in $(seq 1 40); do rm -f f* && echo x > f
      for i in $(seq 1 150); do echo > f$i || break; done 2>/dev/null; done; rm -f f* && echo x > f`;
    await devdev.exec(["sh", "-ec", again]);
  });

  test("--no-xattrs has none, the default has", async () => {
    await using devdev = await Devdev.create(await who(), "xattr");
    await devdev.mount();
    const set = [
      "python3",
      "-c",
      "import os; os.setxattr('f', 'user.a', b'1'); print(os.listxattr('f'))",
    ];
    await devdev.sh("echo > f");
    expect((await devdev.exec(set)).stdout).toBe("['user.a']\n");
    const plain = join(devdev.directory, "plain");
    await devdev.ok(["mount", "--no-xattrs", plain]);
    const argv = ["exec", "-T", "-w", plain, "--", "sh", "-c", 'echo > f; exec "$@"', "sh", ...set];
    const refused = await devdev.cli(argv);
    expect(refused.stderr).toMatch(/Operation not supported/);
  });

  test("--ephemeral keeps nothing", async () => {
    await using devdev = await Devdev.create(await who(), "ephemeral");
    await devdev.mount("--ephemeral");
    await devdev.sh("echo x > file");
    await devdev.ok(["daemon", "stop"]);
    await devdev.mount();
    expect((await devdev.exec(["ls"])).stdout).toBe("");
  });

  test("two workspaces do not see each other", async () => {
    await using devdev = await Devdev.create(await who(), "two");
    await devdev.mount();
    const second = join(devdev.directory, "second");
    await devdev.ok(["mount", second]);
    await devdev.sh("echo first > a");
    writeFileSync(join(devdev.directory, "note"), "");
    await devdev.mustHost(["sh", "-c", `echo second > ${second}/a`]);
    expect((await devdev.exec(["cat", "a"])).stdout).toBe("first\n");
    const list = await devdev.json<{ name: string; mountPoint: string }[]>(["ls"]);
    expect(list.map((w) => w.mountPoint).sort()).toEqual([second, devdev.mountPoint].sort());
  });
});
