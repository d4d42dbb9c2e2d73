// sweeper.ts PID: when that process has ended, takes away what it and others have left.

import { sweepOld, unbind } from "./global-setup.ts";
import { isAlive } from "./processes.ts";
import { until } from "./run.ts";

const pid = Number(process.argv[2]);
await until(`the end of ${pid}`, () => !isAlive(pid), 30_000);
await sweepOld();
await unbind();
