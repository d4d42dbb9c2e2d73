// An open file, as Node's FileHandle: a number of the engine's own table, its position kept there.

import type { BigIntStats, Stats } from "node:fs";
import { FsError } from "@devdev/errno";
import * as native from "@devdev/native";
import type {
  Data,
  EncodingOption,
  PathArgument,
  ReadOptions,
  TimeArgument,
  WorkspaceFileHandle,
  WriteOptions,
} from "@devdev/protocol";
import {
  dataBytes,
  encoded,
  encodingOf,
  integer,
  invalidType,
  modeOf,
  ownerOf,
  pathBytes,
  timeOf,
} from "./arguments.js";
import { thrownBy, type EngineRef } from "./call.js";
import { tooLarge } from "./errors.js";
import { flagBits } from "./flags.js";
import { statsOf } from "./stats.js";

/** What a closed handle stands for: no number of any table. */
const CLOSED = -1;
const NO_FILE = 0xffffffff;
/** The most that one read(2) of Linux returns. */
const MAX_READ = 0x7ffff000;

function position(value: unknown): number | undefined {
  if (value === null || value === undefined || value === -1) return undefined;
  return integer(typeof value === "bigint" ? Number(value) : value, "position", 0);
}

class OpenFile implements WorkspaceFileHandle {
  readonly #engine: EngineRef;
  #fd: number;

  constructor(engine: EngineRef, fd: number) {
    this.#engine = engine;
    this.#fd = fd;
  }

  get fd(): number {
    return this.#fd;
  }

  async #run<R>(syscall: string, work: (engine: number, fd: number) => Promise<R>): Promise<R> {
    this.#engine.tick();
    try {
      return await work(this.#engine.handle, this.#fd === CLOSED ? NO_FILE : this.#fd);
    } catch (error) {
      throw thrownBy(error, { syscall });
    }
  }

  async read(
    buffer: NodeJS.ArrayBufferView,
    offset?: number,
    length?: number,
    from?: number | null,
  ): Promise<{ bytesRead: number; buffer: NodeJS.ArrayBufferView }> {
    if (!ArrayBuffer.isView(buffer)) {
      throw invalidType("buffer", "an instance of Buffer, TypedArray, or DataView", buffer);
    }
    const start = integer(offset ?? 0, "offset", 0, buffer.byteLength);
    const room = Math.min(buffer.byteLength - start, MAX_READ);
    const count = integer(length ?? room, "length", 0, room);
    const at = position(from);
    if (count === 0) return { bytesRead: 0, buffer };
    const bytes = await this.#run("read", (engine, fd) => native.read(engine, fd, count, at));
    new Uint8Array(buffer.buffer, buffer.byteOffset + start, count).set(bytes);
    return { bytesRead: bytes.length, buffer };
  }

  async write(
    data: Data,
    offsetOrPosition?: number | null,
    lengthOrEncoding?: number | BufferEncoding | null,
    at?: number | null,
  ): Promise<{ bytesWritten: number; buffer: Data }> {
    let bytes: Uint8Array;
    let where: number | undefined;
    if (typeof data === "string") {
      bytes = dataBytes(data, lengthOrEncoding as BufferEncoding | null | undefined);
      where = position(offsetOrPosition);
    } else {
      const all = dataBytes(data, undefined);
      const start = integer(offsetOrPosition ?? 0, "offset", 0, all.length);
      const room = all.length - start;
      const length = integer(lengthOrEncoding ?? room, "length", 0, room);
      bytes = all.subarray(start, start + length);
      where = position(at);
    }
    if (bytes.length === 0) return { bytesWritten: 0, buffer: data };
    const write = (engine: number, fd: number) => native.write(engine, fd, bytes, where);
    return { bytesWritten: await this.#run("write", write), buffer: data };
  }

  async readFile(options?: ReadOptions | EncodingOption): Promise<Buffer | string> {
    const encoding = encodingOf(options, undefined);
    const bytes = await this.#run("read", native.readRest).catch(tooLarge);
    return encoded(bytes, encoding);
  }

  async writeFile(data: Data, options?: WriteOptions | BufferEncoding | null): Promise<void> {
    const encoding = typeof options === "object" ? options?.encoding : options;
    let bytes = dataBytes(data, encoding);
    while (bytes.length > 0) {
      const { bytesWritten } = await this.write(bytes);
      bytes = bytes.subarray(bytesWritten);
    }
  }

  async appendFile(data: Data, options?: WriteOptions | BufferEncoding | null): Promise<void> {
    await this.writeFile(data, options);
  }

  async stat(options?: { bigint?: false }): Promise<Stats>;
  async stat(options: { bigint: true }): Promise<BigIntStats>;
  async stat(options?: { bigint?: boolean }): Promise<Stats | BigIntStats> {
    const numbers = await this.#run("fstat", native.fstat);
    return statsOf(numbers, this.#engine.handle, options?.bigint === true);
  }

  async truncate(length?: number): Promise<void> {
    const size = Math.max(0, integer(length ?? 0, "len"));
    await this.#run("ftruncate", (engine, fd) => native.ftruncate(engine, fd, size));
  }

  async chmod(mode: number): Promise<void> {
    const bits = modeOf(mode, "mode");
    await this.#run("fchmod", (engine, fd) => native.fchmod(engine, fd, bits));
  }

  async chown(uid: number, gid: number): Promise<void> {
    const owner = [ownerOf(uid, "uid"), ownerOf(gid, "gid")] as const;
    await this.#run("fchown", (engine, fd) => native.fchown(engine, fd, ...owner));
  }

  async utimes(atime: TimeArgument, mtime: TimeArgument): Promise<void> {
    const times = [timeOf(atime, "atime"), timeOf(mtime, "mtime")] as const;
    await this.#run("futime", (engine, fd) => native.futimes(engine, fd, ...times));
  }

  async sync(): Promise<void> {
    await this.#run("fsync", native.fsync);
    await this.#durable("fsync");
  }

  async datasync(): Promise<void> {
    await this.#run("fdatasync", native.fsync);
    await this.#durable("fdatasync");
  }

  async #durable(syscall: string): Promise<void> {
    await this.#engine.sync().catch(() => {
      // As through the mount, where there is room for no more; the library logs the reason.
      throw new FsError("EIO", { syscall });
    });
  }

  async close(): Promise<void> {
    if (this.#fd === CLOSED) return;
    const closing = this.#run("close", native.close);
    this.#fd = CLOSED;
    await closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Opens a file. */
export async function openFile(
  engine: EngineRef,
  path: PathArgument,
  flags?: string | number,
  mode?: number,
): Promise<WorkspaceFileHandle> {
  const bytes = pathBytes(path);
  const bits = flagBits(flags, "r");
  const permissions = modeOf(mode, "mode", 0o666);
  engine.tick();
  try {
    const fd = await native.open(engine.handle, bytes, bits, permissions);
    return new OpenFile(engine, fd);
  } catch (error) {
    throw thrownBy(error, { syscall: "open", path: bytes });
  }
}
