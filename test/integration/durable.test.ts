// `--durable` (SEMANTICS S46): what fsync has returned for is there after kill -9, at once and
// without a checkpoint of its own accord.

import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import type { Devdev } from "../harness/devdev.ts";
import { isAlive } from "../harness/processes.ts";
import { until } from "../harness/run.ts";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

interface Status {
  durable: boolean;
  usage: { dirtyBytes: number };
}

async function killDaemon(devdev: Devdev): Promise<void> {
  const pid = await devdev.daemonPid();
  process.kill(pid, "SIGKILL");
  await until("the end of the daemon", () => !isAlive(pid), 30_000);
}

forEachIdentity("durable workspaces", (who) => {
  const devdev = useDevdev(who, "durable");
  const host = (script: string) =>
    devdev().mustHost(["sh", "-euc", `cd "$0"; ${script}`, devdev().mountPoint]);
  const status = () => devdev().json<Status>(["status", "-w", devdev().mountPoint]);
  const remount = (...options: string[]) => devdev().ok(["mount", ...options, devdev().mountPoint]);

  test("S46 the setting is made by a mount, shown, kept over restarts, and taken back", async () => {
    expect((await status()).durable).toBe(false);
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--durable");
    expect((await status()).durable).toBe(true);
    await devdev().ok(["daemon", "stop"]);
    await remount();
    expect((await status()).durable).toBe(true);
    expect((await devdev().ok(["status", "-w", devdev().mountPoint])).stdout).toContain("durable");
    await killDaemon(devdev());
    await remount("--no-durable");
    expect((await status()).durable).toBe(false);
    await devdev().ok(["unmount", devdev().mountPoint]);
    await remount("--durable");
    const both = await devdev().cli(["mount", "--durable", "--ephemeral", `${devdev().home}-e`]);
    expect(both.code).not.toBe(0);
    expect(both.stderr).toContain("cannot be durable");
  });

  test("S46 a file, a rename and a directory that were synced survive kill -9", async () => {
    for (let round = 0; round < 5; round++) {
      await host(`head -c 100000 /dev/urandom > new${round}; sync new${round}
        sha256sum < new${round} > sum${round}; mv new${round} f${round}; mkdir d${round}; sync .`);
      await killDaemon(devdev());
      await remount();
      const { stdout } = await host(`sha256sum < f${round}; cat sum${round}; ls -d d${round}`);
      const [found, wanted, directory] = stdout.trim().split("\n");
      expect([found, directory]).toEqual([wanted, `d${round}`]);
    }
  });

  test("S46 writes of a file that was opened with O_SYNC are durable one by one", async () => {
    await host("head -c 20000 /dev/urandom > in; dd if=in of=out bs=4000 oflag=sync status=none");
    expect((await status()).usage.dirtyBytes).toBe(0);
    await killDaemon(devdev());
    await remount();
    expect((await host("cmp in out && echo same")).stdout).toBe("same\n");
  });

  test("S46 many that sync at once share checkpoints, and readers do not wait", async () => {
    await host(`for i in $(seq 40); do echo $i > s$i; done
      for i in $(seq 40); do sync s$i & done; cat s* >/dev/null; wait`);
    expect((await status()).usage.dirtyBytes).toBe(0);
  });

  test.skipIf(lacks("sqlite3"))("S46 SQLite loses no committed transaction", async () => {
    await host(`sqlite3 db 'PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY)'`);
    let committed = 0;
    for (let round = 0; round < 6; round++) {
      const sql = devdev().identity.wrap(["sqlite3", "-batch", `${devdev().mountPoint}/db`]);
      const child = spawn(sql[0]!, sql.slice(1), {
        cwd: "/",
        env: devdev().env,
        stdio: ["pipe", "pipe", "ignore"],
      });
      child.stdin.on("error", () => {}); // it may end before it has read everything
      child.stdout.on("data", (data: Buffer) => {
        for (const line of data.toString().split("\n")) committed = Math.max(committed, +line);
      });
      child.stdin.write(".timeout 1000\nPRAGMA synchronous = FULL;\n");
      for (let n = 0; n < 400; n++) {
        child.stdin.write("INSERT INTO t DEFAULT VALUES; SELECT max(n) FROM t;\n");
      }
      const before = committed;
      await until("some transactions", () => committed > before + 10 + 7 * round, 60_000);
      await killDaemon(devdev());
      child.kill("SIGKILL");
      const known = committed;
      await remount();
      const { stdout } = await host(`sqlite3 db 'PRAGMA integrity_check; SELECT max(n) FROM t'`);
      const [integrity, last] = stdout.trim().split("\n");
      expect(integrity).toBe("ok");
      expect(Number(last)).toBeGreaterThanOrEqual(known);
    }
  });
});
