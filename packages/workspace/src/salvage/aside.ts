// Where repairs put what they take out of a store.

import { join } from "node:path";

/** Where a repair of now puts what it takes out of a store. */
export function asideOf(directory: string): string {
  const time = new Date().toISOString().replaceAll(/[:.]/g, "-");
  return join(directory, "quarantine", time);
}
