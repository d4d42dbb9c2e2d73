// Entry of the checker's thread, which lives for one check: a connection of its own that only
// reads. SQLite's own check reads the whole database in one go, so neither who writes the store nor
// who brings files back could do it beside their work.

import { parentPort, workerData } from "node:worker_threads";

import { measure, openSqliteReader } from "@devdev/store";
import type { StoreReader } from "@devdev/store";

import { passPhase } from "../fault.js";
import { checkStore } from "../salvage/report.js";
import { serveCalls } from "./calls.js";
import { engineCodec } from "./codec.js";
import type { CheckerCalls } from "./interface.js";
import { statsOf } from "./stats.js";

const { directory } = workerData as { directory: string };
const onProgress = (objects: number): void => {
  // A worker is no window: there is no origin to name.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage({ progress: objects });
};

/** Of one moment: what a collection deletes meanwhile is not missing. */
function atOneMoment<T>(work: (reader: StoreReader) => T): T {
  const reader = openSqliteReader(directory);
  try {
    return reader.atOneMoment(() => work(reader));
  } finally {
    reader.close();
  }
}

if (!parentPort) throw new Error("this file is the entry of a worker thread");
serveCalls<CheckerCalls>(parentPort, {
  check: (deep) =>
    atOneMoment((reader) => {
      passPhase("check");
      return checkStore(reader, engineCodec, { deep, onProgress });
    }),
  stats: () => atOneMoment((reader) => statsOf(reader, directory)),
  measure: (without) => atOneMoment((reader) => measure(reader, engineCodec, without)),
});
