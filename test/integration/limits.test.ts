// The byte limit of a workspace bounds its daemon's memory, whatever the bytes go into (S6): each
// adversary of test/fixtures/limits.py takes what it can get, and the peak of the resident set is
// looked at.

import { expect, test } from "vitest";
import { writeback } from "../harness/devdev.ts";
import { adversary, BOUND_MIB, limited, peakOf } from "../harness/limits.ts";
import { statusMiB } from "../harness/rss.ts";
import { until } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";

mounting("S6 the byte limit bounds memory", () => {
  const all = ["symlinks", "attributes", "sparse", "tiny", "pieces", "names", "full"];
  // With writeback write(2) is not refused (S53, writeback.test.ts).
  test.each(all.filter((name) => !(writeback && name === "full")))("%s", async (name) => {
    await using devdev = await limited("--ephemeral");
    const peak = await peakOf(devdev, name, () => adversary(devdev, name));
    expect(peak).toBeLessThanOrEqual(BOUND_MIB);
    const pid = await devdev.daemonPid();
    await until("memory to come back", () => statusMiB(pid, "VmRSS") < 300, 30_000);
  });
});
