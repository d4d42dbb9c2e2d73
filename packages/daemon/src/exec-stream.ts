// A command over a stream connection: output frames as they come, input, window size and signals
// the other way. When the client goes away, the command gets SIGHUP as from a closed terminal.

import type { Socket } from "node:net";
import { userInfo } from "node:os";
import { posix } from "node:path";
import { DevdevError } from "@devdev/errno";
import {
  encodeJsonFrame,
  type ExecOptions,
  type ExecWord,
  type Frame,
  FrameType,
  type Open,
  PROTOCOL_VERSION,
  VERSION,
  type Workspace,
  writeFrame,
} from "@devdev/protocol";
import { CommandInput } from "./command-input.js";
import type { Logger } from "./log.js";

export type ExecOpen = Extract<Open, { kind: "exec" }>;

export interface ExecContext {
  workspace: Workspace;
  open: ExecOpen;
  log: Logger;
}

/**
 * Runs the command and carries its bytes until it has ended; rejects when it could not be started.
 */
export async function runExec(
  socket: Socket,
  frames: AsyncIterable<Frame>,
  { workspace, open, log }: ExecContext,
): Promise<void> {
  const { argv, options } = command(workspace, open);
  const [file, ...args] = argv as [ExecWord, ...ExecWord[]];
  const process = await workspace.spawn(file, args, options);
  let ended = false;
  const hangUp = (): void => {
    if (!ended) process.kill("SIGHUP").catch(() => undefined); // It may have ended meanwhile.
  };
  if (socket.destroyed) hangUp();
  else socket.once("close", hangUp);
  const { pid } = process;
  // Its arguments and variables may be nobody else's business.
  const name = Buffer.from(file as string).toString();
  const about = { workspace: workspace.name, command: name, process: pid };
  log.info({ ...about, terminal: options.pty !== false }, "command started");
  socket.write(
    encodeJsonFrame(FrameType.opened, { pid, version: VERSION, protocol: PROTOCOL_VERSION }),
  );
  let flowing = Promise.resolve();
  process.onOutput((chunk, stream) => {
    const type = stream === "stderr" ? FrameType.stderr : FrameType.stdout;
    const written = writeFrame(socket, type, chunk);
    if (!socket.writableNeedDrain) return;
    process.pause();
    flowing = written.then(() => process.resume());
  });
  const input = new CommandInput(socket, process).carry(frames).catch((error: unknown) => {
    if (ended || socket.destroyed) return;
    log.warn({ err: error, ...about }, "a client sent nonsense");
    socket.destroy();
  });
  const status = await process.wait();
  ended = true;
  await flowing;
  socket.end(encodeJsonFrame(FrameType.exit, status));
  log.info({ ...about, ...status }, "command ended");
  await input;
}

function command(workspace: Workspace, open: ExecOpen): { argv: ExecWord[]; options: ExecOptions } {
  const { shell, cwd, ...given } = open.options;
  const options = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as ExecOptions;
  // Never the daemon's own environment, which is that of whoever happened to start it.
  options.callerEnv ??= {};
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
  // Without a place to be relative to, it is refused by the library.
  if (!cwd.startsWith("/")) return callerCwd === undefined ? cwd : posix.join(here, cwd);
  return inside(workspace, cwd) ?? posix.normalize(cwd);
}

/** The path inside the workspace of a host path at or below its mount point. */
export function inside(workspace: Pick<Workspace, "mountPoint">, path: string): string | undefined {
  const root = workspace.mountPoint;
  if (root === undefined) return undefined;
  if (path === root) return "/";
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}
