// Random work, snapshots, restores and restarts of the daemon in any order: whatever state is live,
// listed or restored is what a full copy made at that moment has (S19, S21, S24, S26, S28). The
// same seeds each time; scripts/property takes new ones and goes on for longer.

import { beforeAll, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { describe } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";
import { buildFsops, live } from "./fsops.ts";

const seed = Number(process.env["DEVDEV_SEED"] ?? 1);

// A build, where there is none yet.
beforeAll(buildFsops, 600_000);

forEachIdentity("histories", (who) => {
  test("S100 every state is what a full copy of it has", async () => {
    const fsops = await buildFsops();
    await using devdev = await Devdev.create(await who(), "history");
    const result = await live(fsops, devdev, { seed, seconds: 8 });
    if (result.code !== 0) expect.fail(describe(result));
    expect(result.stdout).toMatch(/^ok: .*"restore":[1-9]/);
  }, 600_000);
});
