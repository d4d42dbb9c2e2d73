// The byte limit bounds the daemon's memory (S6) also where writers wait until a store has made
// room for them: each brings its data along.

import { expect, test } from "vitest";
import { adversary, BOUND_MIB, limited, peakOf } from "../harness/limits.ts";
import { mounting } from "../harness/suite.ts";

mounting("S6 memory while writers wait for room", () => {
  const cases = [
    ["one overwrites while checkpoints store what was there", ["overwrite", 300, 4], []],
    ["the same with writeback", ["overwrite", 300, 4], ["--writeback"]],
    ["150 overwrite", ["writers", 150, 2, 6], []],
    ["150 overwrite with writeback", ["writers", 150, 2, 6], ["--writeback"]],
  ] as const;
  test.each(cases)("%s", async (name, argv, flags) => {
    await using devdev = await limited(...flags);
    const peak = await peakOf(devdev, name, () => adversary(devdev, ...argv));
    expect(peak).toBeLessThanOrEqual(BOUND_MIB);
  });

  test("one overwrites while snapshots are taken, and kept", async () => {
    await using devdev = await limited();
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
