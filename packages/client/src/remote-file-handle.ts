// An open file of the daemon, as Node's FileHandle. It ends with the connection on which it was
// opened: numbers of another connection mean other files.

import { argumentError, FsError } from "@devdev/errno";
import { type Data, revived, type WorkspaceFileHandle } from "@devdev/protocol";
import type { FileConnection } from "./file-channel.js";

const CLOSED = -1;
/** The system call that an operation of a closed file names. */
const SYSCALLS: Record<string, string> = {
  readFile: "read",
  writeFile: "write",
  appendFile: "write",
  stat: "fstat",
  truncate: "ftruncate",
  chmod: "fchmod",
  chown: "fchown",
  utimes: "futime",
  sync: "fsync",
  datasync: "fdatasync",
};

export class RemoteFileHandle implements WorkspaceFileHandle {
  readonly #connection: FileConnection;
  #fd: number;

  constructor(connection: FileConnection, fd: number) {
    this.#connection = connection;
    this.#fd = fd;
  }

  get fd(): number {
    return this.#fd;
  }

  async #call<T>(op: string, ...args: unknown[]): Promise<T> {
    if (this.#fd === CLOSED) throw new FsError("EBADF", { syscall: SYSCALLS[op] ?? op });
    return revived(await this.#connection.call({ op, args, fd: this.#fd })) as T;
  }

  async read(
    buffer: NodeJS.ArrayBufferView,
    offset?: number,
    length?: number,
    position?: number | null,
  ): Promise<{ bytesRead: number; buffer: NodeJS.ArrayBufferView }> {
    if (!ArrayBuffer.isView(buffer)) {
      const message =
        'The "buffer" argument must be an instance of Buffer, TypedArray, or DataView';
      throw argumentError("TypeError", "ERR_INVALID_ARG_TYPE", message);
    }
    const size = buffer.byteLength;
    const bytes = await this.#call<Buffer>("read", size, offset, length, position);
    new Uint8Array(buffer.buffer, buffer.byteOffset, size).set(bytes, offset ?? 0);
    return { bytesRead: bytes.length, buffer };
  }

  async write(
    data: Data,
    offsetOrPosition?: number | null,
    lengthOrEncoding?: number | BufferEncoding | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: Data }> {
    const args = [data, offsetOrPosition, lengthOrEncoding, position];
    return { bytesWritten: await this.#call<number>("write", ...args), buffer: data };
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

  async close(): Promise<void> {
    if (this.#fd === CLOSED) return;
    const closing = this.#call<void>("close");
    this.#fd = CLOSED;
    await closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
