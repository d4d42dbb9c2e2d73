// A hundred lives and deaths of the daemon, most of them as root. The seed comes from the clock and
// is in every message; scripts/crash runs more, and one seed again.

import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { forEachIdentity } from "../harness/suite.ts";
import { CrashLoop } from "./loop.ts";
import { KINDS } from "./work.ts";

const seed = Number(process.env["DEVDEV_SEED"] ?? Date.now() % 1_000_000);

forEachIdentity("kill -9", (who, as) => {
  const iterations = as === "root" ? 70 : 30;

  test(`${iterations} times: what was acknowledged is kept`, { timeout: 600_000 }, async () => {
    await using devdev = await Devdev.create(await who(), "crash");
    const loop = new CrashLoop(devdev, seed);
    for (let i = 0; i < iterations; i++) await loop.iterate();
    await loop.finish();
    console.log(`crash loop as ${as}, seed ${seed}: ${JSON.stringify(loop.report)}`);
    expect(loop.report.acknowledged).toBeGreaterThan(0);
    expect(loop.report.restored).toBeGreaterThan(0);
    expect(Object.keys(loop.report.kinds).length).toBe(KINDS.length);
    expect(loop.report.slowestMountMs).toBeLessThan(12_000);
  });
});
