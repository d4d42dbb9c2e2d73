// File calls of a client over a stream connection: `fs` of a workspace, open files, and snapshots
// as bytes. Each call is answered under its id, several may be under way at once.

import type { Socket } from "node:net";
import { DevdevError, errorToPlain, FsError } from "@devdev/errno";
import {
  encodeFrame,
  FileCallAssembler,
  FS_OPERATIONS,
  type Frame,
  FrameType,
  portable,
  type Workspace,
  type WorkspaceFileHandle,
  writeFileCall,
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
const PATH_OPERATIONS = new Set<string>(FS_OPERATIONS);

/** So many calls of one client are worked on at once; it is not read from beyond that. */
const MOST_AT_ONCE = 64;

/** Serves file calls until the client ends. */
export async function serveFiles(
  socket: Socket,
  frames: AsyncIterable<Frame>,
  workspace: Workspace,
): Promise<void> {
  const files = new OpenFiles();
  const assembler = new FileCallAssembler();
  const running = new Set<Promise<void>>();
  socket.write(encodeFrame(FrameType.opened, Buffer.from("{}")));
  try {
    for await (const frame of frames) {
      if (frame.type !== FrameType.call && frame.type !== FrameType.part)
        throw new RangeError(`a frame of type ${frame.type} makes no sense here`);
      const call = assembler.push(frame);
      if (!call) continue;
      const request = call.value as Request;
      // Ends when the client has taken the answer: who does not read is not worked for.
      const answered = settled(() => perform(workspace, files, request)).then((value) =>
        writeFileCall(socket, FrameType.reply, { id: call.id, value }),
      );
      const done = answered.finally(() => running.delete(done));
      running.add(done);
      while (running.size >= MOST_AT_ONCE) await Promise.race(running);
    }
  } finally {
    await Promise.allSettled(running);
    await files.close();
    socket.end();
  }
}

async function settled(work: () => Promise<unknown>): Promise<object> {
  try {
    return { ok: portable(await work()) };
  } catch (error) {
    return { error: errorToPlain(error) };
  }
}

async function perform(
  workspace: Workspace,
  files: OpenFiles,
  { op, args, fd }: Request,
): Promise<unknown> {
  if (fd !== undefined) return files.perform(op, fd, args);
  if (op === "open") {
    return files.add(await workspace.fs.open(...(args as Parameters<Workspace["fs"]["open"]>)));
  }
  if (op === "snapshot.toBytes") {
    const snapshot = (await workspace.snapshots()).find((s) => s.sequence === args[0]);
    if (!snapshot) throw new DevdevError("ENOENT", `there is no snapshot ${String(args[0])}`);
    return snapshot.toBytes();
  }
  if (!PATH_OPERATIONS.has(op)) throw unknownOperation(op);
  return (workspace.fs as unknown as Record<string, Anything>)[op]?.(...args);
}

/** The files that one client has open. */
class OpenFiles {
  readonly #handles = new Map<number, WorkspaceFileHandle>();

  add(handle: WorkspaceFileHandle): number {
    this.#handles.set(handle.fd, handle);
    return handle.fd;
  }

  async perform(op: string, fd: number, args: unknown[]): Promise<unknown> {
    const handle = this.#handles.get(fd);
    if (!handle) throw new FsError("EBADF", { syscall: op });
    if (op === "close") {
      this.#handles.delete(fd);
      return handle.close();
    }
    if (op === "read") {
      const [size, offset, length, position] = args as [number, number?, number?, number?];
      // As large as the caller's, so that the same arguments are refused; untouched pages are free.
      const buffer = Buffer.alloc(size);
      const { bytesRead } = await handle.read(buffer, offset, length, position);
      return buffer.subarray(offset ?? 0, (offset ?? 0) + bytesRead);
    }
    if (!HANDLE_OPERATIONS.has(op)) throw unknownOperation(op);
    const result = await (handle as unknown as Record<string, Anything>)[op]?.(...args);
    return op === "write" ? (result as { bytesWritten: number }).bytesWritten : result;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#handles.values()].map((handle) => handle.close()));
  }
}

function unknownOperation(op: string): DevdevError {
  return new DevdevError("ERR_UNKNOWN_METHOD", `there is no file operation ${op}`);
}
