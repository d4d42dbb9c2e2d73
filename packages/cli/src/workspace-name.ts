// How a command line names a workspace: by name, id, or a path that may lead through symlinks.
// Apart from Session, so that exec loads no RPC.

import { realpath } from "node:fs/promises";
import { resolve } from "node:path";

/** A workspace that is named by a path becomes absolute; a name stays (the daemon tries ./name). */
export function absolute(name: string): string {
  if (!name.includes("/") && name !== "." && name !== "..") return name;
  return resolve(name);
}

/**
 * Calls `attempt` with what was named, and once more with its real path when there is no such
 * workspace. Only then, because looking at a path may mean looking into a mount.
 */
export async function byName<T>(
  named: string | undefined,
  attempt: (workspace: string | undefined) => Promise<T>,
): Promise<T> {
  if (named === undefined) return attempt(undefined);
  const given = absolute(named);
  try {
    return await attempt(given);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_NO_WORKSPACE") throw error;
    const real = given.startsWith("/") ? await realpath(given).catch(() => given) : given;
    if (real === given) throw error;
    return attempt(real);
  }
}
