// A directory of the host that is to be compared: never one of this daemon's own mounts, where it
// would wait for itself.

import { realpath } from "node:fs/promises";
import { type Host, refuseInMount } from "@devdev/workspace";

export async function refuseHostInMount(host: Host, directory: string | undefined): Promise<void> {
  if (directory === undefined) return;
  const mounted = await host.list();
  // Before anything looks at it; and again for what its symlinks lead to.
  refuseInMount(mounted, directory);
  refuseInMount(mounted, await realpath(directory));
}
