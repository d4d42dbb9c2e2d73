// `fs` of a workspace of the daemon: the same calls as in process, carried by a FileChannel; the
// sync forms block on a worker thread that carries them.

import { FS_OPERATIONS, type PathArgument, revived, type WorkspaceFs } from "@devdev/protocol";
import type { FileChannel } from "./file-channel.js";
import { RemoteFileHandle } from "./remote-file-handle.js";
import type { SyncChannel } from "./sync-channel.js";

/** Builds `fs` over its two channels. */
export function remoteFs(channel: FileChannel, sync: SyncChannel): WorkspaceFs {
  const fs: Record<string, unknown> = {
    async open(path: PathArgument, flags?: string | number, mode?: number) {
      const connection = await channel.connection();
      const fd = await connection.call({ op: "open", args: [path, flags, mode] });
      return new RemoteFileHandle(connection, fd as number);
    },
    existsSync(path: PathArgument) {
      try {
        sync.call("access", [path]);
        return true;
      } catch {
        return false; // As Node's: whatever the reason.
      }
    },
  };
  for (const op of FS_OPERATIONS) {
    fs[op] = async (...args: unknown[]) => revived(await channel.call(op, args));
    fs[`${op}Sync`] = (...args: unknown[]) => revived(sync.call(op, args));
  }
  return fs as unknown as WorkspaceFs;
}
