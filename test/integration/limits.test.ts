// The byte limit of a workspace bounds its daemon's memory, whatever the bytes go into (S6): each
// adversary of test/fixtures/limits.py takes what it can get, and the peak of the resident set is
// looked at.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { statusMiB } from "../harness/rss.ts";
import { inDirectory, until } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";

const LIMIT_MIB = 256;
/** What S6 says of everything but content, and what the runtime of the daemon takes and gives. */
const BOUND_MIB = LIMIT_MIB + LIMIT_MIB / 16 + 16 + 100;

function adversary(devdev: Devdev, ...argv: (string | number)[]): Promise<unknown> {
  const script = join(devdev.identity.checkout, "test/fixtures/limits.py");
  const command = ["python3", script, ...argv.map(String)];
  return devdev.mustHost(inDirectory(join(devdev.mountPoint, "here"), command), {
    timeoutMs: 110_000,
  });
}

/** Runs it in an empty directory; what the daemon's memory has grown by at its peak meanwhile. */
async function growth(
  devdev: Devdev,
  what: string,
  during: () => Promise<unknown>,
): Promise<number> {
  const pid = await devdev.daemonPid();
  await devdev.mustHost(["mkdir", join(devdev.mountPoint, "here")]);
  writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak begins anew
  const before = statusMiB(pid, "VmRSS");
  await during();
  const grown = statusMiB(pid, "VmHWM") - before;
  console.info(`limits: ${what} ${grown.toFixed(0)} MiB, and ${before.toFixed(0)} before`);
  await devdev.mustHost(["rm", "-rf", join(devdev.mountPoint, "here")]);
  return grown;
}

mounting("S6 the byte limit bounds memory", () => {
  const who = identityNames[0]!;
  const small = async (...flags: string[]): Promise<Devdev> => {
    const devdev = await Devdev.create(await identity(who), "limits");
    await devdev.mount("--limit", `${LIMIT_MIB}m`, ...flags);
    return devdev;
  };

  test.each(["symlinks", "attributes", "sparse", "tiny", "pieces", "names", "full"])(
    "%s",
    async (name) => {
      await using devdev = await small("--ephemeral");
      const grown = await growth(devdev, name, () => adversary(devdev, name));
      expect(grown).toBeLessThanOrEqual(BOUND_MIB);
      const pid = await devdev.daemonPid();
      await until("memory to come back", () => statusMiB(pid, "VmRSS") < 300, 30_000);
    },
  );

  test("overwriting while checkpoints store what was there", async () => {
    await using devdev = await small();
    const work = () => adversary(devdev, "overwrite", 200, 4);
    expect(await growth(devdev, "overwrite", work)).toBeLessThanOrEqual(BOUND_MIB);
  });

  test("overwriting while snapshots are taken, and kept", async () => {
    await using devdev = await small();
    const grown = await growth(devdev, "snapshots", async () => {
      const writing = adversary(devdev, "overwrite", 150, 4);
      for (let n = 0; n < 3; n++) {
        await devdev.ok(["snapshot", "-w", devdev.mountPoint, "--name", `s${n}`]);
      }
      await writing;
    });
    expect(grown).toBeLessThanOrEqual(BOUND_MIB);
  });
});
