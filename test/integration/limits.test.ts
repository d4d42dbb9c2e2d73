// The byte limit of a workspace bounds its daemon's memory, whatever the bytes go into (S6): each
// adversary of test/fixtures/limits.py takes what it can get, and the peak of the resident set is
// looked at.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev, writeback } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { peakBound, statusMiB } from "../harness/rss.ts";
import { inDirectory, until } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";

/** Small, since what a daemon takes for itself counts for more then. */
const LIMIT_MIB = 384;
const BOUND_MIB = peakBound(LIMIT_MIB);

function adversary(devdev: Devdev, ...argv: (string | number)[]): Promise<unknown> {
  const script = join(devdev.identity.checkout, "test/fixtures/limits.py");
  const command = ["python3", script, ...argv.map(String)];
  return devdev.mustHost(inDirectory(join(devdev.mountPoint, "here"), command), {
    timeoutMs: 110_000,
  });
}

/** Runs it in an empty directory; the peak of the daemon's memory meanwhile. */
async function peakOf(
  devdev: Devdev,
  what: string,
  during: () => Promise<unknown>,
): Promise<number> {
  const pid = await devdev.daemonPid();
  await devdev.mustHost(["mkdir", join(devdev.mountPoint, "here")]);
  writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak begins anew
  await during();
  const peak = statusMiB(pid, "VmHWM");
  console.info(`limits: ${what} ${peak.toFixed(0)} MiB of ${BOUND_MIB.toFixed(0)}`);
  await devdev.mustHost(["rm", "-rf", join(devdev.mountPoint, "here")]);
  return peak;
}

mounting("S6 the byte limit bounds memory", () => {
  const who = identityNames[0]!;
  const small = async (...flags: string[]): Promise<Devdev> => {
    const devdev = await Devdev.create(await identity(who), "limits");
    await devdev.mount("--limit", `${LIMIT_MIB}m`, ...flags);
    return devdev;
  };

  const all = ["symlinks", "attributes", "sparse", "tiny", "pieces", "names", "full"];
  // With writeback write(2) is not refused (S53, writeback.test.ts).
  test.each(all.filter((name) => !(writeback && name === "full")))("%s", async (name) => {
    await using devdev = await small("--ephemeral");
    const peak = await peakOf(devdev, name, () => adversary(devdev, name));
    expect(peak).toBeLessThanOrEqual(BOUND_MIB);
    const pid = await devdev.daemonPid();
    await until("memory to come back", () => statusMiB(pid, "VmRSS") < 300, 30_000);
  });

  test("overwriting while checkpoints store what was there", async () => {
    await using devdev = await small();
    const work = () => adversary(devdev, "overwrite", 300, 4);
    expect(await peakOf(devdev, "overwrite", work)).toBeLessThanOrEqual(BOUND_MIB);
  });

  test("overwriting while snapshots are taken, and kept", async () => {
    await using devdev = await small();
    const peak = await peakOf(devdev, "snapshots", async () => {
      const writing = adversary(devdev, "overwrite", 225, 4);
      for (let n = 0; n < 3; n++) {
        await devdev.ok(["snapshot", "-w", devdev.mountPoint, "--name", `s${n}`]);
      }
      await writing;
    });
    expect(peak).toBeLessThanOrEqual(BOUND_MIB);
  });
});
