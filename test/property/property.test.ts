// A minute of random operations for each identity: what tmpfs answers, the mount must answer, and
// the engine without a mount. The same seeds each time, so that a change is what makes it fail;
// scripts/property takes new ones, which it prints, runs longer, and runs one seed again.

import { beforeAll, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { describe as report, must, type RunResult } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";
import {
  buildFsops,
  compareEngineWithTmpfs,
  compareWithTmpfs,
  conform,
  onTmpfs,
  race,
} from "./fsops.ts";

const seed = Number(process.env["DEVDEV_SEED"] ?? 1);

function expectOk(result: RunResult): void {
  if (result.code !== 0) expect.fail(report(result));
  expect(result.stdout).toMatch(/^ok: [1-9]\d* /m);
}

// With writeback the kernel keeps times itself: S54 names the one call that moves none.
function expectConformity(result: RunResult): void {
  if (process.env["DEVDEV_WRITEBACK"] !== "1" || result.code === 0) return expectOk(result);
  const said = result.stdout.split("\n");
  const calls = said.filter((line) => /^(Root|Owner|Group|Other)\b.*: /.test(line));
  const unexpected = calls.filter((line) => !line.includes(": truncate same "));
  if (calls.length === 0 || unexpected.length > 0) expect.fail(report(result));
  expect(said.some((line) => line.startsWith(`DIFFERENT: ${calls.length} of `))).toBe(true);
}

// A build, where there is none yet.
beforeAll(buildFsops, 600_000);

forEachIdentity("random operations", (who, as) => {
  const longer = as === "root" ? 1 : 0.6;

  test("one thread, umask 0: equal to tmpfs", async () => {
    const fsops = await buildFsops();
    await using devdev = await Devdev.create(await who(), "property");
    const mount = await devdev.mount();
    const seconds = 15 * longer;
    expectOk(await compareWithTmpfs(fsops, devdev, mount, { seconds, seed }));
  });

  test("four threads, umask 027: equal to tmpfs", async () => {
    const fsops = await buildFsops();
    await using devdev = await Devdev.create(await who(), "property");
    const mount = await devdev.mount();
    const options = { seconds: 10 * longer, seed: seed + 1_000_000, threads: 4, umask: "27" };
    expectOk(await compareWithTmpfs(fsops, devdev, mount, options));
  });

  test("the engine without a mount: equal to tmpfs", async () => {
    const fsops = await buildFsops();
    const options = { seconds: 10 * longer, seed: seed + 2_000_000 };
    expectOk(await compareEngineWithTmpfs(fsops, await who(), options));
  });

  test.runIf(as === "root")("a table of calls by root and others: equal to tmpfs", async () => {
    const fsops = await buildFsops();
    await using devdev = await Devdev.create(await who(), "property");
    const mount = await devdev.mount("--allow-other");
    expectConformity(await conform(fsops, devdev, mount, { seed, part: 8 }));
  });

  test("racing threads leave a consistent tree", async () => {
    const fsops = await buildFsops();
    await using devdev = await Devdev.create(await who(), "property");
    const mount = await devdev.mount();
    expectOk(await race(fsops, devdev, mount, { seconds: 10 * longer, seed }));
  });

  test("tmpfs is equal to itself, so a difference is the mount's", async () => {
    const fsops = await buildFsops();
    await using devdev = await Devdev.create(await who(), "property");
    const other = await onTmpfs(devdev.identity);
    try {
      expectOk(await compareWithTmpfs(fsops, devdev, other, { seconds: 3, seed }));
      expectOk(await race(fsops, devdev, other, { seconds: 3, seed }));
    } finally {
      await must(["rm", "-rf", other]);
    }
  });
});
