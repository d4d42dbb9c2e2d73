// Entry of the process that checks, repairs or measures a store while no daemon runs. It says on
// standard output, in JSON lines, how far it has come and what came of it.

import { errorToPlain } from "@devdev/errno";
import { dataPaths, type Params } from "@devdev/protocol";
import { checkStoreOf, repairStoreOf, storeStatsOf } from "@devdev/workspace";

const [, , , task, argument = "{}"] = process.argv;

function tell(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function run(): Promise<unknown> {
  const { home } = dataPaths();
  const onProgress = (progress: number): void => tell({ progress });
  const params = JSON.parse(argument) as Params<"store/check"> & Params<"store/repair">;
  switch (task) {
    case "store/check":
      return checkStoreOf(home, { ...params, onProgress });
    case "store/repair":
      return repairStoreOf(home, { ...params, onProgress });
    case "store/stats":
      return storeStatsOf(home);
    default:
      throw new TypeError(`there is no task ${String(task)}`);
  }
}

try {
  tell({ result: await run() });
} catch (error) {
  tell({ error: errorToPlain(error) });
  process.exitCode = 1;
}
