// The operations by path that change or read single files: each checks its arguments and names its
// call of the addon.

import { constants } from "node:fs";
import * as native from "@devdev/native";
import type { PathArgument, TimeArgument } from "@devdev/protocol";
import {
  dataBytes,
  encoded,
  encodingOf,
  integer,
  modeOf,
  ownerOf,
  pathBytes,
  timeOf,
} from "./arguments.js";
import {
  call,
  doneAtOnce,
  type Forms,
  nothing,
  rescued,
  type Call,
  type EngineRef,
  type Operation,
} from "./call.js";
import { tooLarge } from "./errors.js";
import { flagBits } from "./flags.js";

/** Options that may be an encoding. */
function asOptions<T extends object>(options: T | string | null | undefined): Partial<T> {
  return typeof options === "object" && options !== null ? options : {};
}

/** Content up to this length becomes a string without a Buffer of its own in between. */
const room = Buffer.allocUnsafeSlow(64 * 1024);

/** Sync only: `room` is written and read with nothing in between. */
function readText(handle: number, path: Uint8Array, flags: number): Buffer {
  const content = native.readFileIntoSync(handle, path, flags, room);
  return typeof content === "number" ? room.subarray(0, content) : content;
}

function contentAtOnce(handle: number, path: Uint8Array, flags: number) {
  const result = native.readFileAtOnce(handle, path, flags);
  return result === null ? undefined : { result };
}

export const readFile: Operation<"readFile"> = (engine, path, options) => {
  const bytes = pathBytes(path);
  const encoding = encodingOf(options, undefined);
  const flags = flagBits(asOptions(options).flag, "r");
  const sync = encoding === undefined ? native.readFileSync : readText;
  const whole = call(
    engine,
    { syscall: "open", path: bytes },
    { sync, promise: native.readFile, atOnce: contentAtOnce },
    [engine.handle, bytes, flags],
    (content) => encoded(content, encoding),
  );
  return rescued(whole, tooLarge);
};

function written(otherwise: "w" | "a"): Operation<"writeFile"> {
  return (engine, path, data, options) => {
    const bytes = pathBytes(path);
    const { flag, mode, encoding } = asOptions(options);
    const content = dataBytes(data, typeof options === "string" ? options : encoding);
    const flags = flagBits(flag, otherwise);
    const forms = {
      sync: native.writeFileSync,
      promise: native.writeFile,
      atOnce: doneAtOnce(native.writeFileAtOnce),
    };
    const args = [engine.handle, bytes, content, flags, modeOf(mode, "mode", 0o666)] as const;
    return call(engine, { syscall: "open", path: bytes }, forms, [...args], nothing);
  };
}
export const writeFile: Operation<"writeFile"> = written("w");
export const appendFile: Operation<"appendFile"> = written("a");

export const access: Operation<"access"> = (engine, path, mode) => {
  const bytes = pathBytes(path);
  const wanted = integer(mode ?? constants.F_OK, "mode", 0, 7);
  const atOnce = doneAtOnce(native.accessAtOnce);
  const forms = { sync: native.accessSync, promise: native.access, atOnce };
  const subject = { syscall: "access", path: bytes };
  return call(engine, subject, forms, [engine.handle, bytes, wanted], nothing);
};

/** An operation on one path and nothing else. */
function onPath(
  syscall: string,
  forms: Forms<[engine: number, path: Uint8Array], void>,
): (engine: EngineRef, path: PathArgument) => Call<void> {
  return (engine, path) => {
    const bytes = pathBytes(path);
    return call(engine, { syscall, path: bytes }, forms, [engine.handle, bytes], nothing);
  };
}
export const rmdir: Operation<"rmdir"> = onPath("rmdir", {
  sync: native.rmdirSync,
  promise: native.rmdir,
});
export const unlink: Operation<"unlink"> = onPath("unlink", {
  sync: native.unlinkSync,
  promise: native.unlink,
  atOnce: doneAtOnce(native.unlinkAtOnce),
});

/** An operation on two paths. */
function onPaths(
  syscall: string,
  names: [string, string],
  forms: Forms<[engine: number, path: Uint8Array, dest: Uint8Array], void>,
): (engine: EngineRef, from: PathArgument, to: PathArgument) => Call<void> {
  return (engine, from, to) => {
    const path = pathBytes(from, names[0]);
    const dest = pathBytes(to, names[1]);
    return call(engine, { syscall, path, dest }, forms, [engine.handle, path, dest], nothing);
  };
}
export const rename: Operation<"rename"> = onPaths("rename", ["oldPath", "newPath"], {
  sync: native.renameSync,
  promise: native.rename,
  atOnce: doneAtOnce(native.renameAtOnce),
});
export const link: Operation<"link"> = onPaths("link", ["existingPath", "newPath"], {
  sync: native.linkSync,
  promise: native.link,
});
export const symlink: Operation<"symlink"> = onPaths("symlink", ["target", "path"], {
  sync: native.symlinkSync,
  promise: native.symlink,
});

function resolved(
  syscall: "readlink" | "realpath",
  forms: Forms<[engine: number, path: Uint8Array], Buffer>,
): Operation<"readlink"> {
  return (engine, path, options) => {
    const bytes = pathBytes(path);
    const encoding = encodingOf(options, "utf8");
    return call(engine, { syscall, path: bytes }, forms, [engine.handle, bytes], (result) =>
      encoded(result, encoding),
    );
  };
}
export const readlink: Operation<"readlink"> = resolved("readlink", {
  sync: native.readlinkSync,
  promise: native.readlink,
});
export const realpath: Operation<"realpath"> = resolved("realpath", {
  sync: native.realpathSync,
  promise: native.realpath,
});

export const chmod: Operation<"chmod"> = (engine, path, mode) => {
  const bytes = pathBytes(path);
  const forms = { sync: native.chmodSync, promise: native.chmod };
  const args: [number, Uint8Array, number] = [engine.handle, bytes, modeOf(mode, "mode")];
  return call(engine, { syscall: "chmod", path: bytes }, forms, args, nothing);
};

function owned(syscall: "chown" | "lchown"): Operation<"chown"> {
  return (engine, path, uid, gid) => {
    const bytes = pathBytes(path);
    const owner = [ownerOf(uid, "uid"), ownerOf(gid, "gid"), syscall === "chown"] as const;
    const forms = { sync: native.chownSync, promise: native.chown };
    const subject = { syscall, path: bytes };
    return call(engine, subject, forms, [engine.handle, bytes, ...owner], nothing);
  };
}
export const chown: Operation<"chown"> = owned("chown");
export const lchown: Operation<"lchown"> = owned("lchown");

function timed(syscall: "utime" | "lutime"): Operation<"utimes"> {
  return (engine, path, atime: TimeArgument, mtime: TimeArgument) => {
    const bytes = pathBytes(path);
    const times = [timeOf(atime, "atime"), timeOf(mtime, "mtime"), syscall === "utime"] as const;
    const forms = { sync: native.utimesSync, promise: native.utimes };
    const subject = { syscall, path: bytes };
    return call(engine, subject, forms, [engine.handle, bytes, ...times], nothing);
  };
}
export const utimes: Operation<"utimes"> = timed("utime");
export const lutimes: Operation<"lutimes"> = timed("lutime");

export const truncate: Operation<"truncate"> = (engine, path, length) => {
  const bytes = pathBytes(path);
  const size = Math.max(0, integer(length ?? 0, "len"));
  const forms = { sync: native.truncateSync, promise: native.truncate };
  // Node opens the file for it.
  const subject = { syscall: "open", path: bytes };
  return call(engine, subject, forms, [engine.handle, bytes, size], nothing);
};

export const copyFile: Operation<"copyFile"> = (engine, from, to, mode) => {
  const path = pathBytes(from, "src");
  const dest = pathBytes(to, "dest");
  const exclusive = (integer(mode ?? 0, "mode", 0, 7) & constants.COPYFILE_EXCL) !== 0;
  const forms = { sync: native.copyFileSync, promise: native.copyFile };
  const subject = { syscall: "copyfile", path, dest };
  return call(engine, subject, forms, [engine.handle, path, dest, exclusive], nothing);
};

export const mknod: Operation<"mknod"> = (engine, path, mode, rdev) => {
  const bytes = pathBytes(path);
  const forms = { sync: native.mknodSync, promise: native.mknod };
  const device = integer(rdev ?? 0, "rdev", 0, 0xffffffff);
  const args = [engine.handle, bytes, modeOf(mode, "mode"), device] as const;
  return call(engine, { syscall: "mknod", path: bytes }, forms, [...args], nothing);
};
