// Restores of a mounted workspace while its files, mappings and directories are in use: started for
// the test and for scripts/restores alike.

import { join } from "node:path";
import { CHECKOUT } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import type { Identity } from "../harness/identity.ts";
import { run, type RunResult } from "../harness/run.ts";

/** At its slowest, on a busy machine. */
const MS_EACH = 3000;

export async function restores(who: Identity, count: number, seed: number): Promise<RunResult> {
  await using devdev = await Devdev.create(who, "restores");
  const mountPoint = await devdev.mount();
  const node = process.execPath.replace(CHECKOUT, who.checkout);
  const [agent, fixture] = ["test/restores/agent.ts", "test/fixtures/handles.py"];
  const program = [node, join(who.checkout, agent), mountPoint, join(who.checkout, fixture)];
  const env = { ...devdev.env, DEVDEV_BIN: join(who.checkout, "bin/devdev") };
  const timeoutMs = 60_000 + count * MS_EACH;
  return await run(who.wrap([...program, `${count}`, `${seed}`]), { env, timeoutMs });
}
