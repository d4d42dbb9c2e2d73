// `--writeback` (SEMANTICS S48 to S55): the kernel keeps what was written, and nothing that asks
// for it afterwards misses it. What the bridge does for that is tested in native/fuse/tests/host.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Devdev } from "../harness/devdev.ts";
import { isAlive } from "../harness/processes.ts";
import { until } from "../harness/run.ts";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

interface Status {
  writeback: boolean;
  durable: boolean;
  usage: { dirtyBytes: number };
}

// Appends numbered lines to a file that it keeps open, and says how far it has come.
const APPENDER = `
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
n = 0
while True:
    n += 1
    os.write(fd, b"%07d\\n" % n)
    os.write(1, b"%d\\n" % n)
`;

class Appender {
  acknowledged = 0;
  readonly #child;
  readonly #ended;

  constructor(devdev: Devdev, name: string) {
    const command = ["python3", "-c", APPENDER, join(devdev.mountPoint, name)];
    const [program, ...args] = devdev.identity.wrap(command);
    const stdio = ["ignore", "pipe", "ignore"] as const;
    this.#child = spawn(program!, args, { cwd: "/", env: devdev.env, stdio: [...stdio] });
    this.#ended = once(this.#child, "exit");
    let rest = "";
    this.#child.stdout.on("data", (data: Buffer) => {
      const lines = (rest + data.toString()).split("\n");
      rest = lines.pop()!;
      if (lines.length > 0) this.acknowledged = Number(lines.at(-1));
    });
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

async function killDaemon(devdev: Devdev): Promise<void> {
  const pid = await devdev.daemonPid();
  process.kill(pid, "SIGKILL");
  await until("the end of the daemon", () => !isAlive(pid), 30_000);
}

forEachIdentity("writeback", (who) => {
  const devdev = useDevdev(who, "writeback");
  const at = (name: string) => join(devdev().mountPoint, name);
  const host = (script: string) =>
    devdev().mustHost(["sh", "-euc", `cd "$0"; ${script}`, devdev().mountPoint]);
  const status = () => devdev().json<Status>(["status", "-w", devdev().mountPoint]);
  const remount = (...options: string[]) => devdev().ok(["mount", ...options, devdev().mountPoint]);
  const python = (script: string) =>
    devdev().mustHost(["python3", "-c", script, `${devdev().mountPoint}/`]);

  test("S48 the setting is made by a mount, shown, kept over restarts, and taken back", async () => {
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--writeback");
    expect((await status()).writeback).toBe(true);
    const shown = await devdev().ok(["status", "-w", devdev().mountPoint]);
    expect(shown.stdout).toMatch(/\(.*, writeback\)$/m);
    await devdev().ok(["daemon", "stop"]);
    await remount();
    expect((await status()).writeback).toBe(true);
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--no-writeback", "--durable");
    expect(await status()).toMatchObject({ writeback: false, durable: true });
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--writeback");
    expect(await status()).toMatchObject({ writeback: true, durable: true });
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--no-durable");
  });

  test.skipIf(lacks("python3"))("S49 snapshots hold what four writers were told", async () => {
    const writers = [0, 1, 2, 3].map((n) => new Appender(devdev(), `log${n}`));
    await until("four writers", () => writers.every((one) => one.acknowledged > 100), 60_000);
    for (let round = 0; round < 5; round++) {
      const told = writers.map(({ acknowledged }) => acknowledged);
      await devdev().ok(["snapshot", "-w", devdev().mountPoint, "--name", `r${round}`]);
      const logs = await host(`cd .devdev/snapshots/r${round}; tail -qn1 log0 log1 log2 log3`);
      const kept = logs.stdout.trim().split("\n").map(Number);
      kept.forEach((last, n) => expect(last).toBeGreaterThanOrEqual(told[n]!));
      // Nothing is missing before it, and what is there of a line is a whole line.
      const check = await host(`cd .devdev/snapshots/r${round}; for n in 0 1 2 3; do
        seq -f %07.0f "$(wc -l <log$n)" | cmp - log$n; done`);
      expect(check.stdout).toBe("");
    }
    const changed = writers.map(({ acknowledged }) => acknowledged);
    const diff = await devdev().ok(["diff", "-w", devdev().mountPoint]);
    expect(diff.stdout).toContain("log0");
    const file = join(devdev().directory, "out.devdev");
    await devdev().ok(["export", "-w", devdev().mountPoint, file]);
    await devdev().ok(["import", file, "--name", "told"]);
    const other = join(devdev().directory, "told");
    await devdev().ok(["mount", "--name", "told", other]);
    const last = await devdev().mustHost(["tail", "-qn1", join(other, "log0")]);
    expect(Number(last.stdout)).toBeGreaterThanOrEqual(changed[0]!);
    await devdev().ok(["unmount", other]);
    await Promise.all(writers.map((writer) => writer.end()));
    const told = writers.map(({ acknowledged }) => acknowledged);
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount();
    const logs = await host("tail -qn1 log0 log1 log2 log3");
    const kept = logs.stdout.trim().split("\n").map(Number);
    kept.forEach((line, n) => expect(line).toBeGreaterThanOrEqual(told[n]!));
  });

  test.skipIf(lacks("python3"))("S49 a forced unmount takes what an open file holds", async () => {
    const writer = new Appender(devdev(), "forced");
    await until("a writer", () => writer.acknowledged > 1000, 60_000);
    const told = writer.acknowledged;
    await devdev().ok(["unmount", "--force", devdev().mountPoint]);
    await writer.end();
    await remount();
    expect(Number((await host("tail -n1 forced")).stdout)).toBeGreaterThanOrEqual(told);
  });

  test("S52 what was closed, or synced, is in the next checkpoint and survives kill -9", async () => {
    await host("head -c 3000000 /dev/urandom > closed; sha256sum < closed > sum");
    const writer = new Appender(devdev(), "open");
    await until("a writer", () => writer.acknowledged > 100, 60_000);
    await host("sync open");
    const synced = Number((await host("tail -n1 open")).stdout);
    await writer.end();
    await until("a checkpoint", async () => (await status()).usage.dirtyBytes === 0, 60_000);
    await killDaemon(devdev());
    await remount();
    const { stdout } = await host("sha256sum < closed; cat sum; tail -n1 open");
    const [found, wanted, last] = stdout.trim().split("\n");
    expect(found).toBe(wanted);
    expect(Number(last)).toBeGreaterThanOrEqual(synced);
  });

  test.skipIf(lacks("python3"))("S52 fsync holds with --durable", async () => {
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--durable");
    for (let round = 0; round < 3; round++) {
      await python(`import os, sys
fd = os.open(sys.argv[1] + "synced", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"${round}" * 100000, ${round} * 100000)
os.fsync(fd)`);
      await killDaemon(devdev());
      await remount();
      const end = await host("wc -c < synced; tail -c 1 synced");
      expect(end.stdout).toBe(`${(round + 1) * 100_000}\n${round}`);
    }
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--no-durable");
  });

  test.skipIf(lacks("python3"))(
    "S53 what finds no room is an error of fsync and close",
    async () => {
      const small = join(devdev().directory, "small");
      await devdev().ok(["mount", "--writeback", "--ephemeral", "--limit", "1m", small]);
      const full = await devdev().host([
        "python3",
        "-c",
        `import os, sys
fd = os.open(sys.argv[1] + "/f", os.O_WRONLY | os.O_CREAT)
os.write(fd, bytes(3000000))
try:
    os.fsync(fd)
except OSError as error:
    print(error.strerror)
`,
        small,
      ]);
      expect(full.stdout).toBe("No space left on device\n");
      const size = async () => Number((await devdev().host(["stat", "-c%s", `${small}/f`])).stdout);
      // Which part of it has come first is the kernel's to say.
      await until("the length that was kept", async () => (await size()) < 3_000_000, 30_000);
      await devdev().mustHost(["sh", "-euc", `rm ${small}/f; echo room > ${small}/g`]);
      await devdev().ok(["unmount", small]);
    },
  );

  test.skipIf(lacks("python3"))("truncations meet pages that were not written back", async () => {
    await python(`import os, random, sys, mmap
path = sys.argv[1] + "truncated"
fd = os.open(path, os.O_RDWR | os.O_CREAT)
random.seed(4)
model = bytearray()
for n in range(3000):
    at, size = random.randrange(40000), random.randrange(1, 9000)
    kind = random.randrange(5)
    if kind == 0:
        os.ftruncate(fd, at)
        model = model[:at] + bytes(max(0, at - len(model)))
    elif kind == 1:
        os.truncate(path, size)
        model = model[:size] + bytes(max(0, size - len(model)))
    elif kind == 2 and len(model) > size:
        with mmap.mmap(fd, len(model)) as pages:
            pages[size - 1] = n % 256
        model[size - 1] = n % 256
    else:
        data = bytes([n % 256]) * size
        os.pwrite(fd, data, at)
        model += bytes(max(0, at + size - len(model)))
        model[at:at + size] = data
    if n % 50 == 0:
        os.fsync(fd)
    assert os.fstat(fd).st_size == len(model), n
    if n % 10 == 0:
        assert os.pread(fd, 100000, 0) == bytes(model), n
os.close(fd)
open(path + ".model", "wb").write(model)`);
    await devdev().ok(["snapshot", "-w", devdev().mountPoint, "--name", "truncated"]);
    const same = "cmp truncated truncated.model && echo same";
    expect((await host(same)).stdout).toBe("same\n");
    const kept = await host(`cd .devdev/snapshots/truncated; ${same}`);
    expect(kept.stdout).toBe("same\n");
  });

  test.skipIf(lacks("sqlite3"))(
    "snapshots of a database that is written to are whole",
    async () => {
      await host("sqlite3 db 'PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)' >/dev/null");
      const inserts = "INSERT INTO t SELECT value FROM generate_series(1, 500);\n".repeat(400);
      const writing = devdev().host(["sqlite3", at("db")], { input: inserts });
      for (let round = 0; round < 3; round++) {
        await devdev().ok(["snapshot", "-w", devdev().mountPoint, "--name", `db${round}`]);
      }
      await writing;
      for (let round = 0; round < 3; round++) {
        const { stdout } =
          await host(`mkdir c${round}; cp .devdev/snapshots/db${round}/db* c${round}
        sqlite3 c${round}/db 'PRAGMA integrity_check'`);
        expect(stdout).toBe("ok\n");
      }
    },
  );
});
