// S24, S25: restores while readers and writers are at work and files, mappings and directories are
// held open. scripts/restores does a thousand of them, with new seeds.

import { expect, test } from "vitest";
import { describe } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";
import { restores } from "./run.ts";

const seed = Number(process.env["DEVDEV_SEED"] ?? 1);

forEachIdentity("restores of what is in use", (who) => {
  test("S24 S25 paths, open files, mappings and directories show what was restored", async () => {
    const result = await restores(await who(), 40, seed);
    if (result.code !== 0) expect.fail(describe(result));
    expect(result.stdout).toMatch(/^ok: 40 restores/);
  });
});
