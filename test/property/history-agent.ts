// history-agent.ts DIRECTORY TMPFS FSOPS SEED SECONDS: random work in a mounted workspace, with
// snapshots, restores and restarts of the daemon in between, beside a model that keeps a full copy
// of every state on tmpfs. A process of its own, so that it can be an ordinary user's; only its
// children touch the mount. Says on stdout what it did, or fails with the steps that led there.

import { join } from "node:path";
import { mix } from "../crash/model.ts";
import { History, MismatchError } from "./history.ts";

const [directory = "", tmpfs = "", fsops = "", seedText, secondsText] = process.argv.slice(2);
const [seed, seconds] = [Number(seedText), Number(secondsText)];
let draws = 0;
const random = (below: number): number => mix(seed, draws++) % below;

const end = Date.now() + seconds * 1000;
await using history = new History({ mountPoint: join(directory, "ws"), tmpfs, fsops, random });
try {
  await history.begin();
  // A machine that is busy comes to its first restore later.
  while (Date.now() < end || history.counts.restore === undefined) await history.step();
  await history.finish();
  console.log(`ok: ${JSON.stringify(history.counts)}`);
} catch (error) {
  const steps = history.told.slice(-40).join("\n");
  const what = error instanceof MismatchError ? error.message : (error as Error).stack;
  console.log(
    `seed ${seed}, after step ${history.told.length}: ${what}\nthe last steps:\n${steps}`,
  );
  process.exitCode = 1;
}
