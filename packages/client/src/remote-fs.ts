// `fs` of a workspace of the daemon: the same calls as in process, carried by a FileChannel; the
// sync forms block on a worker thread that carries them.

import type { Buffer } from "node:buffer";
import type { Data, PathArgument, WorkspaceFileHandle, WorkspaceFs } from "@devdev/protocol";
import type { ConnectOptions } from "./connect.js";
import type { FileChannel } from "./file-channel.js";
import { revived } from "./portable.js";
import { SyncChannel } from "./sync-channel.js";

const OPERATIONS = [
  "readFile", "writeFile", "appendFile", "readdir", "stat", "lstat", "statfs", "access", "mkdir", "mkdtemp", "rmdir", "rm",
  "unlink", "rename", "link", "symlink", "readlink", "realpath", "chmod", "chown", "lchown", "utimes", "lutimes", "truncate",
  "copyFile", "cp", "mknod", "getxattr", "setxattr", "listxattr", "removexattr",
] as const; // prettier-ignore

/** Builds `fs` for the workspace with this id. */
export function remoteFs(
  channel: FileChannel,
  workspace: string,
  options: ConnectOptions,
): WorkspaceFs {
  const sync = new SyncChannel(workspace, options);
  const fs: Record<string, unknown> = {
    open: async (path: PathArgument, flags?: string | number, mode?: number) =>
      new RemoteFileHandle(channel, (await channel.call("open", [path, flags, mode])) as number),
    existsSync(path: PathArgument) {
      try {
        sync.call("access", [path]);
        return true;
      } catch {
        return false; // As Node's: whatever the reason.
      }
    },
  };
  for (const op of OPERATIONS) {
    fs[op] = async (...args: unknown[]) => revived(await channel.call(op, args));
    fs[`${op}Sync`] = (...args: unknown[]) => syncCall(sync, op, args);
  }
  return fs as unknown as WorkspaceFs;
}

function syncCall(sync: SyncChannel, op: string, args: unknown[]): unknown {
  const { throwIfNoEntry } = (args[1] ?? {}) as { throwIfNoEntry?: boolean };
  try {
    return revived(sync.call(op, args));
  } catch (error) {
    if (throwIfNoEntry === false && (error as { code?: string }).code === "ENOENT")
      return undefined;
    throw error;
  }
}

class RemoteFileHandle implements WorkspaceFileHandle {
  readonly fd: number;
  readonly #channel: FileChannel;

  constructor(channel: FileChannel, fd: number) {
    this.#channel = channel;
    this.fd = fd;
  }

  async #call<T>(op: string, ...args: unknown[]): Promise<T> {
    return revived(await this.#channel.call(op, args, this.fd)) as T;
  }

  async read(
    buffer: NodeJS.ArrayBufferView,
    offset = 0,
    length = buffer.byteLength - offset,
    position: number | null = null,
  ): Promise<{ bytesRead: number; buffer: NodeJS.ArrayBufferView }> {
    if (offset < 0 || length < 0 || offset + length > buffer.byteLength) {
      throw Object.assign(new RangeError('The value of "length" is out of range.'), {
        code: "ERR_OUT_OF_RANGE",
      });
    }
    const bytes = await this.#call<Buffer>("read", length, position);
    bytes.copy(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength), offset);
    return { bytesRead: bytes.length, buffer };
  }

  async write(
    data: Data,
    offsetOrPosition?: number | null,
    lengthOrEncoding?: number | BufferEncoding | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: Data }> {
    const bytesWritten = await this.#call<number>(
      "write",
      data,
      offsetOrPosition,
      lengthOrEncoding,
      position,
    );
    return { bytesWritten, buffer: data };
  }

  readFile: WorkspaceFileHandle["readFile"] = (options) => this.#call("readFile", options);
  writeFile: WorkspaceFileHandle["writeFile"] = (data, options) =>
    this.#call("writeFile", data, options);
  appendFile: WorkspaceFileHandle["appendFile"] = (data, options) =>
    this.#call("appendFile", data, options);
  stat = ((options?: { bigint?: boolean }) =>
    this.#call("stat", options)) as WorkspaceFileHandle["stat"];
  truncate = (length?: number): Promise<void> => this.#call("truncate", length);
  chmod = (mode: number): Promise<void> => this.#call("chmod", mode);
  chown = (uid: number, gid: number): Promise<void> => this.#call("chown", uid, gid);
  utimes: WorkspaceFileHandle["utimes"] = (atime, mtime) => this.#call("utimes", atime, mtime);
  sync = (): Promise<void> => this.#call("sync");
  datasync = (): Promise<void> => this.#call("datasync");
  close = (): Promise<void> => this.#call("close");

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
