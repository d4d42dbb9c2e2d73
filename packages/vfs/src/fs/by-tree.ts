// The operations on directories and whole trees, and on extended attributes.

import { randomBytes } from "node:crypto";
import { FsError } from "@devdev/errno";
import * as native from "@devdev/native";
import type { PathArgument } from "@devdev/protocol";
import { dataBytes, encodingOf, invalidType, modeOf, pathBytes } from "./arguments.js";
import { call, doneAtOnce, hasCode, nothing, rescued, type Operation } from "./call.js";
import { operationError } from "./errors.js";
import { direntsOf, namesOf } from "./listing.js";

export const readdir: Operation<"readdir"> = (engine, path, options) => {
  const bytes = pathBytes(path);
  const encoding = encodingOf(options, "utf8");
  const { withFileTypes, recursive } = typeof options === "object" && options ? options : {};
  const forms = { sync: native.readdirSync, promise: native.readdir };
  const args: [number, Uint8Array, boolean] = [engine.handle, bytes, recursive === true];
  return call(engine, { syscall: "scandir", path: bytes }, forms, args, (packed) =>
    withFileTypes === true
      ? direntsOf(packed, path.toString(), encoding)
      : namesOf(packed, encoding),
  );
};

export const mkdir: Operation<"mkdir"> = (engine, path, options) => {
  const bytes = pathBytes(path);
  const given = typeof options === "object" && options !== null ? options : { mode: options };
  const mode = modeOf(given.mode, "mode", 0o777);
  const { recursive } = given as { recursive?: unknown };
  if (recursive !== undefined && typeof recursive !== "boolean") {
    throw invalidType("options.recursive", "of type boolean", recursive);
  }
  const subject = { syscall: "mkdir", path: bytes };
  const args: [number, Uint8Array, number] = [engine.handle, bytes, mode];
  if (recursive !== true) {
    const atOnce = doneAtOnce(native.mkdirAtOnce);
    const forms = { sync: native.mkdirSync, promise: native.mkdir, atOnce };
    return call(engine, subject, forms, args, () => undefined);
  }
  const forms = { sync: native.mkdirAllSync, promise: native.mkdirAll };
  return call(engine, subject, forms, args, (made) => made?.toString());
};

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/** More names than this in use under one prefix, six times in a row, do not happen. */
const ATTEMPTS = 100;

function randomName(): string {
  return Array.from(randomBytes(6), (byte) => LETTERS[byte % LETTERS.length]).join("");
}

export const mkdtemp: Operation<"mkdtemp"> = (engine, prefix) => {
  const start = Buffer.from(pathBytes(prefix, "prefix")).toString();
  const attempt = () => {
    const path = start + randomName();
    const forms = { sync: native.mkdirSync, promise: native.mkdir };
    const subject = { syscall: "mkdtemp", path: `${start}XXXXXX` };
    const args: [number, Uint8Array, number] = [engine.handle, Buffer.from(path), 0o700];
    return call(engine, subject, forms, args, () => path);
  };
  const taken = (error: unknown, left: number): void => {
    if (left === 0 || !hasCode(error, "EEXIST")) throw error;
  };
  return {
    sync: () => {
      for (let left = ATTEMPTS; ; left--) {
        try {
          return attempt().sync();
        } catch (error) {
          taken(error, left);
        }
      }
    },
    promise: async () => {
      for (let left = ATTEMPTS; ; left--) {
        try {
          return await attempt().promise();
        } catch (error) {
          taken(error, left);
        }
      }
    },
  };
};

export const rm: Operation<"rm"> = (engine, path, options) => {
  const bytes = pathBytes(path);
  if (options !== undefined && (typeof options !== "object" || options === null)) {
    throw invalidType("options", "of type object", options);
  }
  const forms = { sync: native.removeSync, promise: native.remove };
  const args: [number, Uint8Array, boolean] = [engine.handle, bytes, options?.recursive === true];
  const removed = call(engine, { syscall: "rm", path: bytes }, forms, args, nothing);
  return rescued(removed, (error) => {
    if (options?.force === true && hasCode(error, "ENOENT")) return;
    if (options?.recursive !== true && hasCode(error, "EISDIR")) {
      const message = `Path is a directory: rm returned EISDIR (is a directory) ${path.toString()}`;
      throw operationError("ERR_FS_EISDIR", message, error);
    }
    throw error;
  });
};

/** What only a copy refuses: the engine's code -> Node's code and sentence. */
const COPY_REFUSALS: Readonly<Record<string, [string, string]>> = {
  EISDIR: ["ERR_FS_EISDIR", "Recursive option not enabled, cannot copy a directory"],
  EINVAL: ["ERR_FS_CP_EINVAL", "Cannot copy to itself or to a subdirectory of itself"],
  ENOTDIR: ["ERR_FS_CP_DIR_TO_NON_DIR", "Cannot overwrite non-directory with directory"],
  EEXIST: ["ERR_FS_CP_NON_DIR_TO_DIR", "Cannot overwrite directory with non-directory"],
  ENOTSUP: ["ERR_FS_CP_UNKNOWN", "Cannot copy a fifo, socket or device"],
};

export const cp: Operation<"cp"> = (engine, from, to, options) => {
  const path = pathBytes(from, "src");
  const dest = pathBytes(to, "dest");
  const how = [options?.recursive === true, options?.force !== false] as const;
  const forms = { sync: native.copyTreeSync, promise: native.copyTree };
  const subject = { syscall: "copyfile", path, dest };
  const copied = call(engine, subject, forms, [engine.handle, path, dest, ...how], nothing);
  return rescued(copied, (error) => {
    const refusal =
      error instanceof FsError && error.syscall === "cp" ? COPY_REFUSALS[error.code] : undefined;
    if (refusal === undefined) throw error;
    const [code, sentence] = refusal;
    throw operationError(code, `${sentence}: ${from.toString()} -> ${to.toString()}`, error);
  });
};

function xattr(path: PathArgument, name: string): [Uint8Array, Uint8Array] {
  if (typeof name !== "string") throw invalidType("name", "of type string", name);
  return [pathBytes(path), pathBytes(name, "name")];
}

export const getxattr: Operation<"getxattr"> = (engine, path, name) => {
  const [bytes, key] = xattr(path, name);
  const forms = { sync: native.getxattrSync, promise: native.getxattr };
  const subject = { syscall: "getxattr", path: bytes };
  return call(engine, subject, forms, [engine.handle, bytes, key], (value) => value);
};

export const setxattr: Operation<"setxattr"> = (engine, path, name, value, flags) => {
  const [bytes, key] = xattr(path, name);
  const forms = { sync: native.setxattrSync, promise: native.setxattr };
  const how = [flags?.create === true, flags?.replace === true] as const;
  const args = [engine.handle, bytes, key, dataBytes(value, "utf8"), ...how] as const;
  return call(engine, { syscall: "setxattr", path: bytes }, forms, [...args], nothing);
};

export const listxattr: Operation<"listxattr"> = (engine, path) => {
  const bytes = pathBytes(path);
  const forms = { sync: native.listxattrSync, promise: native.listxattr };
  const subject = { syscall: "listxattr", path: bytes };
  return call(engine, subject, forms, [engine.handle, bytes], (packed) => {
    return namesOf(packed, "utf8") as string[];
  });
};

export const removexattr: Operation<"removexattr"> = (engine, path, name) => {
  const [bytes, key] = xattr(path, name);
  const forms = { sync: native.removexattrSync, promise: native.removexattr };
  const subject = { syscall: "removexattr", path: bytes };
  return call(engine, subject, forms, [engine.handle, bytes, key], nothing);
};
