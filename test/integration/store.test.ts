// `devdev store check | repair | stats` (SEMANTICS S85 to S87) as a user has them: real
// databases are damaged, looked at and repaired, with a daemon and without one.

import { copyFileSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identityNames } from "../harness/identity.ts";
import { forEachIdentity } from "../harness/suite.ts";

interface Check {
  ok: boolean;
  problems: string[];
  damagedStates: Array<{ workspace: string; what: string; lost: string[]; damaged: string[] }>;
  orphans: { objects: number };
}
interface Repair {
  ok: boolean;
  dryRun: boolean;
  removed: number;
  rebuilt?: string;
  quarantine?: string;
  left: string[];
  states: Array<{
    what: string;
    lost: string[];
    damaged: string[];
    found: string[];
    outcome: string;
  }>;
}
interface Listed {
  name?: string;
}

forEachIdentity("the store", (who, as) => {
  // What repair does, does not depend on whose store it is.
  const once = { skip: as !== identityNames[0] };
  let devdev: Devdev;
  let whole: string;
  const store = () => join(devdev.home, "store");
  const file = () => join(store(), "devdev.sqlite");
  const look = async (...args: string[]): Promise<Check> =>
    JSON.parse((await devdev.cli(["store", "check", "--json", ...args])).stdout) as Check;
  const repair = async (...args: string[]): Promise<Repair> =>
    JSON.parse((await devdev.cli(["store", "repair", "--json", ...args])).stdout) as Repair;
  const sql = <T>(work: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(file());
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  /** Without a daemon, from the store as the first test left it. */
  const damaged = async (work: (db: DatabaseSync) => void): Promise<void> => {
    await devdev.cli(["daemon", "stop"]);
    for (const end of ["-wal", "-shm"]) rmSync(file() + end, { force: true });
    copyFileSync(whole, file());
    sql(work);
    await devdev.mustHost(["true"]);
  };
  const write = (script: string) =>
    devdev.mustHost(["sh", "-euc", `cd "$0"; ${script}`, devdev.mountPoint]);

  beforeAll(async () => {
    devdev = await Devdev.create(await who(), "store");
    await devdev.mount("--name", "w");
    await write(
      "mkdir d; head -c 200000 /dev/urandom > d/big; echo small > d/small; echo top > top",
    );
    await devdev.ok(["snapshot", "-w", "w", "--name", "one"]);
    // More than one page of names, and inodes far apart.
    await write("mkdir many; i=0; while [ $i -lt 400 ]; do echo $i > many/f$i; i=$((i+1)); done");
    await devdev.ok(["snapshot", "-w", "w", "--name", "two"]);
    await write("rm -r many; echo later > later");
    await devdev.ok(["daemon", "stop"]);
    // What checkpoints kept that came in between: the tests take it that all there is is needed.
    await devdev.ok(["gc"]);
    await devdev.ok(["daemon", "stop"]);
    whole = join(devdev.directory, "whole.sqlite");
    copyFileSync(file(), whole);
  });
  afterAll(() => devdev[Symbol.asyncDispose]());

  test("S85 a whole store is whole, with and without a daemon, and stats say how large it is", async () => {
    for (const args of [[], ["--deep"]]) {
      expect(await look(...args)).toMatchObject({ ok: true, problems: [], damagedStates: [] });
    }
    const stats = JSON.parse((await devdev.ok(["store", "stats", "--json"])).stdout) as {
      dedupRatio: number;
      compressionRatio: number;
      workspaces: Array<{ name: string; snapshots: number; uniqueBytes: number }>;
    };
    expect(stats.workspaces).toMatchObject([{ name: "w", snapshots: 2 }]);
    expect(stats.workspaces[0]!.uniqueBytes).toBeGreaterThan(200_000);
    expect(stats.dedupRatio).toBeGreaterThan(2);
    expect(stats.compressionRatio).toBeGreaterThanOrEqual(1);
    await devdev.ok(["daemon", "start"]);
    expect(await look("--deep")).toMatchObject({ ok: true });
    expect((await devdev.ok(["store", "stats"])).stdout).toMatch(/w +2 +\d/);
    expect((await devdev.ok(["store", "repair"])).stdout).toContain("the store is whole");
  });

  test("S86 flipped bytes of a block: the file that has it is named, the rest is restored", async () => {
    await damaged((db) => {
      const [row] = db
        .prepare("SELECT rowid, data FROM blocks WHERE length(data) > 60000 ORDER BY rowid LIMIT 1")
        .all() as Array<{ rowid: number; data: Uint8Array }>;
      row!.data[100]! ^= 0xff;
      db.prepare("UPDATE blocks SET data = ? WHERE rowid = ?").run(row!.data, row!.rowid);
    });
    expect(await look()).toMatchObject({ ok: true });
    const found = await devdev.cli(["store", "check", "--deep"]);
    expect(found.code).toBe(1);
    expect(found.stdout).toContain("/d/big");
    const plan = await repair("--dry-run");
    expect(plan).toMatchObject({ dryRun: true, removed: 1, ok: true });
    expect((await look("--deep")).ok).toBe(false);
    const done = await repair();
    expect(done).toMatchObject({ ok: true, removed: 1 });
    expect(done.states.map(({ what }) => what)).toEqual([
      "the live state",
      "snapshot #1 (one)",
      "snapshot #2 (two)",
    ]);
    for (const { damaged: partly } of done.states) expect(partly).toEqual(["/d/big.damaged"]);
    expect(await look("--deep")).toMatchObject({ ok: true });
    await devdev.mount("--name", "w");
    for (const name of ["one", "two"]) {
      await devdev.ok(["restore", "-w", "w", name]);
      const { stdout } = await write("cat d/small top; stat -c %s d/big.damaged; ls d");
      expect(stdout).toBe("small\ntop\n200000\nbig.damaged\nsmall\n");
    }
    expect((await write("ls many | wc -l")).stdout.trim()).toBe("400");
  });

  test("S86 lost pages of a tree: names that are lost, and what is found without one", async () => {
    await damaged((db) => {
      const rows = db.prepare("SELECT rowid, encoding, data FROM pages").all() as Array<{
        rowid: number;
        encoding: number;
        data: Uint8Array;
      }>;
      // The page of a directory that has the most names of many.
      const names = rows.map(({ encoding, data }) => {
        const page = encoding === 0 ? Buffer.from(data) : zstdDecompressSync(data);
        return page.toString("latin1").match(/f\d{2,3}/g)?.length ?? 0;
      });
      const { rowid } = rows[names.indexOf(Math.max(...names))]!;
      db.prepare("DELETE FROM pages WHERE rowid = ?").run(rowid);
    });
    const report = await look();
    expect(report.ok).toBe(false);
    expect(report.damagedStates.length).toBeGreaterThan(0);
    const done = await repair();
    expect(done.left).toEqual([]);
    expect(done.ok).toBe(true);
    expect(await look("--deep")).toMatchObject({ ok: true });
    await devdev.mount("--name", "w");
    await devdev.ok(["restore", "-w", "w", "two"]);
    const files = Number(
      (await write("find . -path ./.devdev -prune -o -type f -print | wc -l")).stdout,
    );
    const [two] = done.states.filter(({ what }) => what.includes("two"));
    // Every file is there under its name, or found without one, or said to be lost: but those whose
    // name and inode were on the same page, which has up to 16.
    const lost = two!.lost.filter((path) => path.startsWith("/many/")).length;
    expect(files + lost).toBeGreaterThanOrEqual(400 - 16);
  });

  test("S86 any page can be lost: repair always leaves a whole store", once, async () => {
    const count = sql(
      (db) => db.prepare("SELECT count(*) AS n FROM pages").get() as { n: number },
    ).n;
    expect(count).toBeGreaterThan(5);
    for (const offset of [0, 2, 3, 5]) {
      await damaged((db) => {
        db.prepare(
          "DELETE FROM pages WHERE rowid = (SELECT rowid FROM pages ORDER BY rowid LIMIT 1 OFFSET ?)",
        ).run(Math.floor((offset * count) / 6));
      });
      const before = await look();
      const done = await repair();
      expect([done.ok, done.left], `offset ${offset}`).toEqual([true, []]);
      expect(done.states.length).toBe(before.damagedStates.length);
      expect((await look("--deep")).problems).toEqual([]);
    }
  });

  test(
    "S87 a truncated database is made anew of what is left, the old one kept",
    once,
    async () => {
      await damaged(() => undefined);
      truncateSync(file(), Math.floor(statSync(file()).size * 0.8));
      const report = await look();
      expect(report.ok).toBe(false);
      const done = await repair();
      expect(done.rebuilt).toContain("made anew");
      expect(statSync(join(done.quarantine!, "devdev.sqlite")).size).toBeGreaterThan(0);
      expect(done.left).toEqual([]);
      expect((await look("--deep")).problems).toEqual([]);
      await devdev.mount("--name", "w");
      expect((await devdev.json<Listed[]>(["ls"])).map(({ name }) => name)).toEqual(["w"]);
    },
  );

  test("S87 garbage in the middle of the database file, and a log that is gone", once, async () => {
    await damaged(() => undefined);
    const fd = openSync(file(), "r+");
    writeSync(fd, Buffer.alloc(40_000, 0x5a), 0, 40_000, Math.floor(statSync(file()).size / 2));
    closeSync(fd);
    const done = await repair();
    expect(done.left).toEqual([]);
    expect((await look("--deep")).problems).toEqual([]);
    await damaged(() => undefined);
    await devdev.mount("--name", "w");
    await write("echo more > more");
    await devdev.ok(["snapshot", "-w", "w"]);
    process.kill(await devdev.daemonPid(), "SIGKILL");
    await expect.poll(async () => (await devdev.cli(["daemon", "status"])).code).not.toBe(0);
    rmSync(`${file()}-wal`, { force: true });
    expect((await repair()).left).toEqual([]);
    expect((await look("--deep")).problems).toEqual([]);
  });

  test("S87 what is no database, or newer, is refused in words, and left alone", once, async () => {
    await damaged((db) => db.exec("PRAGMA user_version = 99"));
    const newer = await devdev.cli(["store", "check"]);
    expect(newer.code).toBe(1);
    expect(newer.stderr).toContain("written by a newer devdev");
    const fd = openSync(file(), "r+");
    writeSync(fd, Buffer.alloc(100, 0x41), 0, 100, 0);
    closeSync(fd);
    const bytes = readFileSync(file());
    expect((await look()).problems[0]).toMatch(/not a database/);
    const refused = await devdev.cli(["store", "repair"]);
    expect(refused.code).toBe(1);
    expect(readFileSync(file()).equals(bytes)).toBe(true);
  });
});
