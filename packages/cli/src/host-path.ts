// Where a mount is to be, as an absolute path.

import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

/**
 * The mount point may not exist yet, or be a dead mount on which nothing answers: only its parent
 * is asked.
 */
export async function hostPath(directory: string): Promise<string> {
  const path = resolve(directory);
  const parent = dirname(path);
  const real = await realpath(parent).catch(() => parent);
  return join(real, basename(path));
}
