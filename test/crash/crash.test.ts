// A hundred lives and deaths of the daemon: half of them as root, half as an ordinary user, both at
// the same time, for most of it is waiting. The seed comes from the clock and is in every message,
// with the command that goes the same way again.

import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { mounting } from "../harness/suite.ts";
import { CrashLoop, ROUND } from "./loop.ts";
import { KINDS, type Report } from "./kinds.ts";

const seed = Number(process.env["DEVDEV_SEED"] ?? Date.now() % 1_000_000);
const KILLS = 100;

async function loop(name: "root" | "user", kills: number): Promise<Report[]> {
  const reports: Report[] = [];
  for (let done = 0; done < kills; done += ROUND) {
    await using devdev = await Devdev.create(await identity(name), "crash");
    const one = new CrashLoop(devdev, seed + done);
    for (let i = 0; i < ROUND; i++) await one.iterate();
    await one.finish();
    console.log(`crash loop as ${name}, seed ${seed + done}: ${JSON.stringify(one.report)}`);
    reports.push(one.report);
  }
  return reports;
}

mounting("kill -9", () => {
  const who = identityNames.join(" and ");
  test(`${KILLS} times as ${who}: what was acknowledged is kept (S20, S28, S32, S110)`, async () => {
    const loops = identityNames.map((name) => loop(name, KILLS / identityNames.length));
    // Both to their end, so that none is left running behind a failure of the other.
    const ended = await Promise.allSettled(loops);
    for (const each of ended) if (each.status === "rejected") throw each.reason;
    const reports = ended.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    const sum = (of: (report: Report) => number): number =>
      reports.reduce((total, report) => total + of(report), 0);
    expect(sum((report) => report.iterations)).toBe(KILLS);
    for (const kind of KINDS) expect(sum(({ kinds }) => kinds[kind] ?? 0)).toBeGreaterThan(0);
    expect(sum((report) => report.acknowledged)).toBeGreaterThan(KILLS / 10);
    expect(sum((report) => report.restored)).toBeGreaterThan(0);
    expect(sum((report) => report.forked)).toBeGreaterThan(0);
    expect(sum((report) => report.synced)).toBeGreaterThan(0);
    expect(sum((report) => report.cutSnapshots)).toBeGreaterThan(0);
    expect(sum((report) => report.cutCheckpoints)).toBeGreaterThan(KILLS / 20);
    expect(sum((report) => report.cutMigrations)).toBeGreaterThan(0);
    expect(Math.max(...reports.map((report) => report.slowestMountMs))).toBeLessThan(30_000);
  }, 1_800_000);
});
