// Entry of the checker's thread, which lives for one check: a connection of its own that only
// reads. SQLite's own check reads the whole database in one go, so neither who writes the store nor
// who brings files back could do it beside their work.

import { parentPort, workerData } from "node:worker_threads";

import { check, openSqliteReader } from "@devdev/store";

import { passPhase } from "../fault.js";
import { serveCalls } from "./calls.js";
import { engineCodec } from "./codec.js";
import type { CheckerCalls } from "./interface.js";

if (!parentPort) throw new Error("this file is the entry of a worker thread");
serveCalls<CheckerCalls>(parentPort, {
  check: () => {
    const reader = openSqliteReader((workerData as { directory: string }).directory);
    try {
      // Of one moment: what a collection deletes meanwhile is not missing.
      return reader.atOneMoment(() => {
        passPhase("check");
        return check(reader, engineCodec);
      });
    } finally {
      reader.close();
    }
  },
});
