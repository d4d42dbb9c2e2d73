// Memory of the daemon: what is removed from a workspace goes back to the system, also when the
// store took it in between.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { until } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";

const CONTENT_MIB = 250;
/** Beside the 10 % that may stay: what the runtime of the daemon takes and gives as it likes. */
const SLACK_MIB = 80;

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

mounting("memory", () => {
  test.each([["checkpoints"], ["--ephemeral"]])("comes back (%s)", async (mode) => {
    await using devdev = await Devdev.create(await identity(identityNames[0]!), "memory");
    await devdev.mount(...(mode === "--ephemeral" ? [mode] : []));
    const pid = await devdev.daemonPid();
    const before = residentMiB(pid);
    for (let round = 0; round < 2; round++) {
      await devdev.sh(`head -c ${CONTENT_MIB}M /dev/urandom > big`);
      expect(residentMiB(pid)).toBeGreaterThan(before + CONTENT_MIB / 2);
      // Long enough for a checkpoint to begin with it.
      await devdev.sh("sleep 2; rm big");
    }
    const limit = before * 1.1 + SLACK_MIB;
    await until("the memory to come back", () => residentMiB(pid) <= limit, 60_000);
  });
});
