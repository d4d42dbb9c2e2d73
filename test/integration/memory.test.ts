// Memory of the daemon: what is removed from a workspace goes back to the system, also when the
// store took it in between.

import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { statusMiB } from "../harness/rss.ts";
import { until } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";

const CONTENT_MIB = 250;
/** Beside the 10 % that may stay: what the runtime of the daemon takes and gives as it likes. */
const SLACK_MIB = 40;
/** A daemon with one small workspace; some of its threads are one for each CPU. */
const AT_REST_MIB = 125 + 3 * Math.max(0, availableParallelism() - 2);

async function codeGivenBack(pid: number): Promise<void> {
  await until("code to be given back", () => statusMiB(pid, "RssFile") < 40, 90_000);
}

mounting("memory", () => {
  test.each([["checkpoints"], ["--ephemeral"]])("comes back (%s)", async (mode) => {
    await using devdev = await Devdev.create(await identity(identityNames[0]!), "memory");
    await devdev.mount(...(mode === "--ephemeral" ? [mode] : []));
    const pid = await devdev.daemonPid();
    await codeGivenBack(pid);
    const before = statusMiB(pid, "VmRSS");
    for (let round = 0; round < 2; round++) {
      await devdev.sh(`head -c ${CONTENT_MIB}M /dev/urandom > big`);
      expect(statusMiB(pid, "VmRSS")).toBeGreaterThan(before + CONTENT_MIB / 2);
      // Long enough for a checkpoint to begin with it.
      await devdev.sh("sleep 2; rm big");
    }
    const limit = before * 1.1 + SLACK_MIB;
    await until("the memory to come back", () => statusMiB(pid, "VmRSS") <= limit, 60_000);
  });

  test("a daemon at rest is small", async () => {
    await using devdev = await Devdev.create(await identity(identityNames[0]!), "rest");
    await devdev.mount();
    const pid = await devdev.daemonPid();
    await codeGivenBack(pid);
    await devdev.sh("seq 1000 | while read -r n; do echo $n > f$n; done; cat f* > all");
    await devdev.ok(["snapshot", "-w", devdev.mountPoint]);
    const resident = () => statusMiB(pid, "VmRSS");
    await expect.poll(resident, { timeout: 90_000 }).toBeLessThan(AT_REST_MIB);
  });
});
