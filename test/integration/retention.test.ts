// `devdev retention`, `forget` and `gc` (SEMANTICS S80 to S84) as a user has them.

import { expect, test } from "vitest";
import { until } from "../harness/run.ts";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

interface Listed {
  sequence: number;
}

forEachIdentity("how long snapshots are kept", (who) => {
  const devdev = useDevdev(who, "retention");
  const write = (script: string) =>
    devdev().mustHost(["sh", "-euc", `cd "$0"; ${script}`, devdev().mountPoint]);

  const stored = async (): Promise<boolean> => {
    const at = ["status", "-w", devdev().mountPoint];
    return (await devdev().json<{ usage: { dirtyBytes: number } }>(at)).usage.dirtyBytes === 0;
  };
  /** What gc says that it would free, and what it then frees. */
  const collect = async (): Promise<[planned: number, freed: number]> => {
    const plan = await devdev().json<{ bytesFreed: number }>(["gc", "--dry-run"]);
    const done = await devdev().json<{ bytesFreed: number }>(["gc"]);
    return [plan.bytesFreed, done.bytesFreed];
  };

  test("S80 S81 S82 rules, forget and gc by hand, without losing what others share", async () => {
    await devdev().ok(["snapshot", "-w", devdev().mountPoint, "--name", "one"]);
    await write("head -c 50000 /dev/urandom > two");
    await devdev().ok(["snapshot", "-w", devdev().mountPoint, "--name", "two"]);
    for (let i = 0; i < 4; i++) {
      await write(`head -c 100000 /dev/urandom > n${i}`);
      await devdev().ok(["snapshot", "-w", devdev().mountPoint, "-m", `n${i}`]);
    }
    await devdev().ok(["retention", "-w", devdev().mountPoint, "--keep-last", "2"]);
    const left = await devdev().json<Listed[]>(["snapshots", "-w", devdev().mountPoint]);
    expect(left.map(({ sequence }) => sequence)).toEqual([1, 2, 5, 6]);
    await devdev().ok(["forget", "-w", devdev().mountPoint, "#5", "two"]);
    let [planned, freed] = await collect();
    // The store collects by itself after two seconds without work: between two commands, when the
    // machine is busy with others.
    for (let n = 0; n < 10 && (planned === 0 || freed !== planned); n++) {
      await write("head -c 100000 /dev/urandom > gone");
      await devdev().ok(["snapshot", "-w", devdev().mountPoint, "--name", `gone${n}`]);
      await write("echo less > gone");
      await until("a checkpoint", stored);
      await devdev().ok(["forget", "-w", devdev().mountPoint, `gone${n}`]);
      [planned, freed] = await collect();
    }
    expect(planned).toBeGreaterThan(0);
    expect(freed).toBe(planned);
    const look = await devdev().json(["store", "check", "--deep"]);
    expect(look).toMatchObject({ ok: true, orphans: { objects: 0 } });
    const limited = await devdev().ok([
      "retention",
      "-w",
      devdev().mountPoint,
      "--store-limit",
      "100k",
    ]);
    expect(limited.stdout).toContain("the limit is not kept");
    expect((await devdev().ok(["status", "-w", devdev().mountPoint])).stdout).toContain(
      "the limit is not kept",
    );
    await write("echo still > writable");
    await devdev().ok(["retention", "--store-limit", "none"]);
    const refused = await devdev().cli(["forget", "-w", devdev().mountPoint, "nothing"]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("no snapshot nothing"),
    ]);
  });
});
