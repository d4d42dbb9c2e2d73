// The file API of one engine: every operation in its promise and its sync form.

import type { FsOperations, PathArgument, WorkspaceFs } from "@devdev/protocol";
import * as byPath from "./by-path.js";
import * as byStat from "./by-stat.js";
import * as byTree from "./by-tree.js";
import type { EngineRef, Operation } from "./call.js";
import { openFile } from "./file-handle.js";

const OPERATIONS: { [K in keyof FsOperations]: Operation<K> } = {
  readFile: byPath.readFile,
  writeFile: byPath.writeFile,
  appendFile: byPath.appendFile,
  stat: byStat.stat,
  lstat: byStat.lstat,
  statfs: byStat.statfs,
  access: byPath.access,
  rmdir: byPath.rmdir,
  unlink: byPath.unlink,
  rename: byPath.rename,
  link: byPath.link,
  symlink: byPath.symlink,
  readlink: byPath.readlink,
  realpath: byPath.realpath,
  chmod: byPath.chmod,
  chown: byPath.chown,
  lchown: byPath.lchown,
  utimes: byPath.utimes,
  lutimes: byPath.lutimes,
  truncate: byPath.truncate,
  copyFile: byPath.copyFile,
  mknod: byPath.mknod,
  readdir: byTree.readdir,
  mkdir: byTree.mkdir,
  mkdtemp: byTree.mkdtemp,
  rm: byTree.rm,
  cp: byTree.cp,
  getxattr: byTree.getxattr,
  setxattr: byTree.setxattr,
  listxattr: byTree.listxattr,
  removexattr: byTree.removexattr,
};

/** The file API over `engine`. */
export function workspaceFs(engine: EngineRef): WorkspaceFs {
  const fs: Record<string, unknown> = {};
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    // Each entry takes the arguments that its key says; the type of the whole states it.
    const prepare = operation as unknown as Operation<"rmdir">;
    fs[name] = (...args: [PathArgument]) => {
      // Not an async function around one that is: each promise in between costs a turn.
      try {
        return prepare(engine, ...args).promise();
      } catch (error) {
        return Promise.reject(error);
      }
    };
    fs[`${name}Sync`] = (...args: [PathArgument]) => prepare(engine, ...args).sync();
  }
  fs.open = (path: PathArgument, flags?: string | number, mode?: number) =>
    openFile(engine, path, flags, mode);
  fs.existsSync = (path: PathArgument) => {
    try {
      return byStat.exists(engine, path);
    } catch {
      // As in Node: whatever the reason, even an argument that is no path.
      return false;
    }
  };
  return fs as unknown as WorkspaceFs;
}
