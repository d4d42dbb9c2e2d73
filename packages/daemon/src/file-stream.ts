// File calls of a client over a stream connection: `fs` of a workspace, open files, and snapshots
// as bytes. Each call is answered under its id, several may be under way at once.

import type { Dirent, Stats } from "node:fs";
import type { Socket } from "node:net";
import { DevdevError, errorToPlain } from "@devdev/errno";
import {
  decodeFileCall,
  encodeFileCall,
  encodeFrame,
  type Frame,
  FrameType,
  type Workspace,
  type WorkspaceFileHandle,
} from "@devdev/protocol";

interface Request {
  op: string;
  args: unknown[];
  /** For operations of an open file. */
  fd?: number;
}
type Anything = (...args: unknown[]) => Promise<unknown>;

const HANDLE_OPERATIONS = new Set([
  "read", "write", "readFile", "writeFile", "appendFile", "stat", "truncate", "chmod", "chown", "utimes", "sync", "datasync",
]); // prettier-ignore
const FS_OPERATIONS = new Set([
  "readFile", "writeFile", "appendFile", "readdir", "stat", "lstat", "statfs", "access", "mkdir", "mkdtemp", "rmdir", "rm",
  "unlink", "rename", "link", "symlink", "readlink", "realpath", "chmod", "chown", "lchown", "utimes", "lutimes", "truncate",
  "copyFile", "cp", "mknod", "getxattr", "setxattr", "listxattr", "removexattr",
]); // prettier-ignore

/** Serves file calls until the client ends. */
export async function serveFiles(
  socket: Socket,
  frames: AsyncIterable<Frame>,
  workspace: Workspace,
): Promise<void> {
  const open = new Map<number, WorkspaceFileHandle>();
  const answer = (id: number, value: unknown): void => {
    if (!socket.destroyed)
      socket.write(encodeFrame(FrameType.reply, encodeFileCall({ id, value })));
  };
  socket.write(encodeFrame(FrameType.opened, Buffer.from("{}")));
  try {
    for await (const frame of frames) {
      if (frame.type !== FrameType.call)
        throw new RangeError(`a frame of type ${frame.type} makes no sense here`);
      const { id, value } = decodeFileCall(frame.payload);
      perform(workspace, open, value as Request).then(
        (result) => answer(id, { ok: portable(result) }),
        (error: unknown) => answer(id, { error: errorToPlain(error) }),
      );
    }
  } finally {
    await Promise.allSettled([...open.values()].map((handle) => handle.close()));
    socket.end();
  }
}

async function perform(
  workspace: Workspace,
  open: Map<number, WorkspaceFileHandle>,
  request: Request,
): Promise<unknown> {
  const { op, args, fd } = request;
  if (op === "open") {
    const handle = await workspace.fs.open(...(args as Parameters<Workspace["fs"]["open"]>));
    open.set(handle.fd, handle);
    return handle.fd;
  }
  if (op === "snapshot.toBytes") {
    const snapshot = (await workspace.snapshots()).find((s) => s.sequence === args[0]);
    if (!snapshot) throw new DevdevError("ENOENT", `there is no snapshot ${String(args[0])}`);
    return snapshot.toBytes();
  }
  if (fd !== undefined) return performOnHandle(open, op, fd, args);
  if (!FS_OPERATIONS.has(op))
    throw new DevdevError("ERR_UNKNOWN_METHOD", `there is no file operation ${op}`);
  return (workspace.fs as unknown as Record<string, Anything>)[op]?.(...args);
}

async function performOnHandle(
  open: Map<number, WorkspaceFileHandle>,
  op: string,
  fd: number,
  args: unknown[],
): Promise<unknown> {
  const handle = open.get(fd);
  if (!handle) throw new DevdevError("EBADF", `file ${fd} is not open`);
  if (op === "close") {
    open.delete(fd);
    return handle.close();
  }
  if (op === "read") {
    const [length, position] = args as [number, number | null];
    const buffer = Buffer.allocUnsafe(Math.min(length, 32 * 1024 * 1024));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    return buffer.subarray(0, bytesRead);
  }
  if (!HANDLE_OPERATIONS.has(op))
    throw new DevdevError("ERR_UNKNOWN_METHOD", `there is no file operation ${op}`);
  const result = await (handle as unknown as Record<string, Anything>)[op]?.(...args);
  return op === "write" ? (result as { bytesWritten: number }).bytesWritten : result;
}

// Stats and Dirents are classes: they travel as their fields and are rebuilt by the client.
function portable(value: unknown): unknown {
  if (Array.isArray(value) && isDirent(value[0])) {
    return {
      $dirents: value.map((d: Dirent) => ({
        name: d.name,
        parentPath: d.parentPath,
        kind: direntKind(d),
      })),
    };
  }
  if (typeof value === "object" && value !== null && "mtimeMs" in value && "isFile" in value) {
    return { $stats: Object.fromEntries(Object.entries(value as Stats)) };
  }
  return value;
}

function isDirent(value: unknown): value is Dirent {
  return typeof value === "object" && value !== null && "parentPath" in value && "isFile" in value;
}

function direntKind(entry: Dirent): string {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "directory";
  if (entry.isSymbolicLink()) return "symlink";
  if (entry.isFIFO()) return "fifo";
  if (entry.isSocket()) return "socket";
  return entry.isCharacterDevice() ? "character" : "block";
}
