// What is exported to and imported from is a regular file: a fifo would keep a thread waiting for
// ever, and replacing a device is nobody's intention.

import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";

import { DevdevError } from "@devdev/errno";

/** Its attributes; refuses everything else with a sentence, and what is not there with ENOENT. */
export async function regularFile(path: string): Promise<Stats> {
  const stats = await stat(path);
  if (stats.isFile()) return stats;
  if (stats.isDirectory()) throw new DevdevError("EISDIR", `${path} is a directory`);
  throw new DevdevError("EINVAL", `${path} is not a regular file`);
}
