// A command over a stream connection: output frames as they come, input, window size and signals
// the other way. When the client goes away, the command gets SIGHUP as from a closed terminal.

import type { Socket } from "node:net";
import { userInfo } from "node:os";
import { posix } from "node:path";
import { DevdevError } from "@devdev/errno";
import {
  encodeJsonFrame,
  type ExecOptions,
  type ExecProcess,
  type ExecWord,
  type Frame,
  FrameType,
  jsonPayload,
  type Open,
  PROTOCOL_VERSION,
  VERSION,
  type Workspace,
  writeFrame,
} from "@devdev/protocol";

export type ExecOpen = Extract<Open, { kind: "exec" }>;

/**
 * Runs the command and carries its bytes until it has ended; rejects when it could not be started.
 */
export async function runExec(
  socket: Socket,
  frames: AsyncIterable<Frame>,
  workspace: Workspace,
  open: ExecOpen,
): Promise<void> {
  const { argv, options } = command(workspace, open);
  const [file, ...args] = argv as [ExecWord, ...ExecWord[]];
  const process = await workspace.spawn(file, args, options);
  let ended = false;
  socket.once("close", () => {
    if (!ended) process.kill("SIGHUP").catch(() => undefined); // It may have ended meanwhile.
  });
  socket.write(
    encodeJsonFrame(FrameType.opened, {
      pid: process.pid,
      version: VERSION,
      protocol: PROTOCOL_VERSION,
    }),
  );
  let flowing = Promise.resolve();
  process.onOutput((chunk, stream) => {
    const type = stream === "stderr" ? FrameType.stderr : FrameType.stdout;
    const written = writeFrame(socket, type, chunk);
    if (!socket.writableNeedDrain) return;
    process.pause();
    flowing = written.then(() => process.resume());
  });
  const input = carryInput(process, frames);
  const status = await process.wait();
  ended = true;
  await flowing;
  socket.end(encodeJsonFrame(FrameType.exit, status));
  await input;
}

async function carryInput(process: ExecProcess, frames: AsyncIterable<Frame>): Promise<void> {
  try {
    for await (const frame of frames) await carry(process, frame);
  } catch {
    // The process ended, or the peer sent nonsense or went away: the exit status says what matters.
  }
}

async function carry(process: ExecProcess, frame: Frame): Promise<void> {
  switch (frame.type) {
    case FrameType.stdin:
      return process.write(frame.payload);
    case FrameType.stdinEnd:
      return process.end();
    case FrameType.resize: {
      const { cols, rows } = jsonPayload(frame) as { cols: number; rows: number };
      return process.resize(cols, rows);
    }
    case FrameType.signal: {
      const { signal } = jsonPayload(frame) as { signal: NodeJS.Signals };
      return process.kill(signal);
    }
    default:
      throw new RangeError(`a frame of type ${frame.type} makes no sense here`);
  }
}

function command(workspace: Workspace, open: ExecOpen): { argv: ExecWord[]; options: ExecOptions } {
  const { shell, cwd, ...given } = open.options;
  const options = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as ExecOptions;
  options.cwd = workingDirectory(workspace, cwd, open.callerCwd);
  const argv = open.argv.map((word) =>
    typeof word === "string" ? word : Buffer.from(word.b64, "base64"),
  );
  if (!shell) return { argv, options };
  const login = userInfo().shell ?? "/bin/sh";
  options.env = { SHELL: login, ...options.env };
  return { argv: [login, ...argv.slice(1)], options };
}

/**
 * The directory inside the workspace: `--cwd` (absolute = inside the workspace, or a host path
 * below the mount; relative = to where the caller is), else where the caller is when that is inside
 * the mount, else the root.
 */
export function workingDirectory(
  workspace: Workspace,
  cwd: string | undefined,
  callerCwd: string | undefined,
): string {
  const here = (callerCwd !== undefined && inside(workspace, callerCwd)) || "/";
  if (cwd === undefined) return here;
  if (cwd === "") throw new DevdevError("EINVAL", "the working directory is empty");
  if (!cwd.startsWith("/")) return posix.join(here, cwd);
  return inside(workspace, cwd) ?? posix.normalize(cwd);
}

/** The path inside the workspace of a host path at or below its mount point. */
export function inside(workspace: Pick<Workspace, "mountPoint">, path: string): string | undefined {
  const root = workspace.mountPoint;
  if (root === undefined) return undefined;
  if (path === root) return "/";
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}
