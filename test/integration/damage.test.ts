// What a damaged store does to those who use it (SEMANTICS R130): bytes of a real database are
// changed and rows taken out, beside the daemon that has it open and while none runs. A restore
// says which snapshot and what helps, and leaves the state before it; a read fails, and the log
// says of what; nobody waits, and what is mended works again at once.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { inDirectory } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

type Table = "pages" | "blocks";
interface Row {
  rowid: number;
  id: Uint8Array;
  data: Uint8Array;
}

/** Nobody waits as long as S33 allows who is told that something is not there. */
const PROMPT_MS = 20_000;
const REFUSED =
  /^devdev: snapshot one \([0-9a-f]{12}\) is damaged in the store: page [0-9a-f]{64} is (missing|damaged: [^\n]+)\n +`devdev store check --deep` says what is lost, [^\n]+\n$/;

forEachIdentity("a damaged store", (who) => {
  let devdev: Devdev;
  const sql = <T>(work: (db: DatabaseSync) => T): T => {
    const file = join(devdev.home, "store/devdev.sqlite");
    const db = new DatabaseSync(file, { timeout: 10_000 });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  const rows = (table: Table): Row[] =>
    sql((db) => db.prepare(`SELECT rowid, id, data FROM ${table} ORDER BY rowid`).all()) as never;
  /** Changes one byte of an object. */
  const flip = (table: Table, { rowid, data }: Row, at: number): void => {
    const damaged = Buffer.from(data);
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    sql((db) => db.prepare(`UPDATE ${table} SET data = ? WHERE rowid = ?`).run(damaged, rowid));
  };
  const mend = (table: Table, { rowid, data }: Row): void =>
    sql((db) => void db.prepare(`UPDATE ${table} SET data = ? WHERE rowid = ?`).run(data, rowid));
  /** Has the object under another id for as long as the work lasts. */
  const without = async (table: Table, { rowid, id }: Row, work: () => Promise<void>) => {
    const name = (as: Uint8Array): void =>
      sql((db) => void db.prepare(`UPDATE ${table} SET id = ? WHERE rowid = ?`).run(as, rowid));
    name(Buffer.alloc(32, 1));
    try {
      await work();
    } finally {
      name(id);
    }
  };
  const look = async (script: string) =>
    devdev.host(inDirectory(devdev.mountPoint, ["sh", "-c", script]), { timeoutMs: PROMPT_MS });
  const shown = async (): Promise<string> => (await look("cat top; ls")).stdout;
  const restore = (...args: string[]) =>
    devdev.cli(["restore", "-w", "w", ...args], { timeoutMs: PROMPT_MS });
  const snapshots = async (): Promise<number> =>
    (await devdev.json<unknown[]>(["snapshots", "-w", "w"])).length;
  const rootOf = (name: string): Row => {
    const id = sql((db) => db.prepare("SELECT root FROM snapshots WHERE name = ?").get(name));
    const root = Buffer.from((id as { root: Uint8Array }).root);
    return rows("pages").find((row) => root.equals(row.id))!;
  };

  beforeAll(async () => {
    devdev = await Devdev.create(await who(), "damage");
    await devdev.mount("--name", "w");
    await devdev.sh(`mkdir d many; head -c 200000 /dev/urandom > d/big; echo small > d/small
      echo one > top; i=0; while [ $i -lt 300 ]; do echo $i > many/f$i; i=$((i+1)); done`);
    await devdev.ok(["snapshot", "-w", "w", "--name", "one"]);
    await devdev.sh("rm -r d many; echo two > top; mkdir e; echo new > e/new");
    await devdev.ok(["snapshot", "-w", "w", "--name", "two"]);
    // What is stored is what there is from here on.
    await devdev.ok(["daemon", "stop"]);
    await devdev.mount("--name", "w");
  });
  afterAll(() => devdev[Symbol.asyncDispose]());

  test("R130 a missing page: the restore names the snapshot, and the state before it stays", async () => {
    const [before, count] = [await shown(), await snapshots()];
    expect(before).toBe("two\ne\ntop\n");
    await without("pages", rootOf("one"), async () => {
      const refused = await restore("one");
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(REFUSED)]);
      for (const args of [
        ["one", "--", "/top"],
        ["--live", "one"],
      ]) {
        expect((await restore(...args)).stderr).toMatch(REFUSED);
      }
      const diff = await devdev.cli(["diff", "-w", "w", "one"], { timeoutMs: PROMPT_MS });
      expect([diff.code, diff.stderr]).toEqual([1, expect.stringMatching(REFUSED)]);
      const json = await restore("--json", "one");
      expect((JSON.parse(json.stderr) as { error: { code: string } }).error.code).toBe(
        "ERR_STORE_CORRUPT",
      );
      const listed = await look("ls .devdev/snapshots/one");
      expect(listed).toMatchObject({
        timedOut: false,
        stderr: expect.stringContaining("output error"),
      });
      expect([await shown(), await snapshots()]).toEqual([before, count]);
      const { code, stdout } = await devdev.cli(["store", "check"], { timeoutMs: PROMPT_MS });
      expect([code, stdout]).toEqual([1, expect.stringContaining("snapshot #1 (one)")]);
    });
    expect((await look("cat .devdev/snapshots/one/top")).stdout).toBe("one\n");
  });

  test("R130 one byte of any page: refused in the same way, or not needed", async () => {
    const before = await shown();
    const [all, count] = [rows("pages"), await snapshots()];
    const outcomes: Array<number | null> = [];
    // Some of them: each takes two restores.
    const step = Math.max(1, Math.floor(all.length / 12));
    for (const row of all.filter((_, n) => n % step === 0)) {
      flip("pages", row, row.data.length >> 1);
      const { code, stderr } = await restore("one");
      outcomes.push(code);
      mend("pages", row);
      if (code === 0) {
        expect((await look("cat top")).stdout).toBe("one\n");
        await devdev.ok(["restore", "-w", "w", "two"]);
      } else expect([code, stderr]).toEqual([1, expect.stringMatching(REFUSED)]);
      expect(await shown()).toBe(before);
    }
    expect(outcomes).toContain(1);
    const gone = outcomes.filter((code) => code === 0).length;
    expect(await snapshots()).toBe(count + 2 * gone);
  });

  test("R130 a damaged block is EIO, the log says which, and all else goes on", async () => {
    await devdev.ok(["restore", "-w", "w", "one"]);
    const big = rows("blocks").filter(({ data }) => data.length > 60_000)[0]!;
    const hex = Buffer.from(big.id).toString("hex");
    const read = () => look("cat d/big | wc -c; cat d/small");
    const refused = async (): Promise<void> => {
      const result = await read();
      expect(result).toMatchObject({
        timedOut: false,
        stderr: expect.stringMatching(/output error/),
      });
      expect(result.stdout).toMatch(/^\d+\nsmall\n$/);
      expect(Number(result.stdout.split("\n")[0])).toBeLessThan(200_000);
    };
    const logged = async (text: string): Promise<void> => {
      const log = async (): Promise<string> =>
        (await devdev.ok(["daemon", "logs", "--lines", "200"])).stdout;
      await expect.poll(log, { timeout: PROMPT_MS }).toContain(text);
    };
    flip("blocks", big, 777);
    await refused();
    await logged(`block ${hex} has other bytes than its id says`);
    const file = join(devdev.directory, "refused");
    const exported = await devdev.cli(["export", "-w", "w", file], { timeoutMs: PROMPT_MS });
    expect([exported.code, existsSync(file)]).toEqual([1, false]);
    mend("blocks", big);
    await without("blocks", big, async () => {
      await refused();
      await logged(`block ${hex} is missing`);
    });
    expect((await read()).stdout).toBe("200000\nsmall\n");
  });

  test("R130 a live state that is damaged is named, and nothing is mounted", async () => {
    await devdev.ok(["daemon", "stop"]);
    const id = sql((db) => db.prepare("SELECT checkpoint_root AS root FROM workspaces").get());
    const root = Buffer.from((id as { root: Uint8Array }).root);
    const row = rows("pages").find((each) => root.equals(each.id))!;
    await without("pages", row, async () => {
      const refused = await devdev.cli(["mount", "--name", "w", devdev.mountPoint]);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(
          /^devdev: the live state of workspace w is damaged in the store: page/,
        ),
      ]);
      expect((await devdev.host(["mountpoint", "-q", devdev.mountPoint])).code).not.toBe(0);
    });
    await devdev.mount("--name", "w");
    expect((await look("cat top")).stdout).toBe("one\n");
  });
});
