// Entry of the copier's thread, which lives for one log: a connection of its own, so that who
// writes the store goes on meanwhile.

import { constants, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";

import { copyLog } from "@devdev/store";

import { serveCalls } from "./calls.js";
import type { CopierCalls } from "./interface.js";

const { directory } = workerData as { directory: string };

if (!parentPort) throw new Error("this file is the entry of a worker thread");
// Of this thread alone: who waits for a snapshot or a restore goes first.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
serveCalls<CopierCalls>(parentPort, { copy: () => copyLog(directory) });
