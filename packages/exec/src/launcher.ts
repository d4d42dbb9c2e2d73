// Starts the helper binary in its launcher role and talks it through to the exec. Separate from
// ExecProcess: here a command comes into being, there it lives.
//
// node-pty is not used: its terminal closes itself 200 ms after the exit, whether or not the reader
// has taken everything (measured: a reader paused for 300 ms loses all output), and it forks the
// daemon by itself. /dev/ptmx is opened here, close-on-exec, and the launcher makes it a terminal.
import { spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import tty from "node:tty";

import { type InputSink, PipeInput, TerminalInput } from "./input.js";
import { LaunchError } from "./launch-error.js";
import { RecordReader, type LaunchRecord } from "./launch-records.js";
import { encodeSpec, GO, type LaunchSpec } from "./launch-spec.js";

/** How the helper process ended: one of the two is null. */
export interface RawExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A started command: its process and our ends of its standard streams. */
export interface Launched {
  pid: number;
  exited: Promise<RawExit>;
  /** Undefined if its standard input is empty. */
  input: InputSink | undefined;
  outputs: { stream: net.Socket; fd: number; name: "stdout" | "stderr" }[];
  /**
   * The other end of the terminal, to be closed after its output is drained: as long as it is open
   * the master never reports an end.
   */
  slave: number | undefined;
}

export interface LaunchOptions extends LaunchSpec {
  helperPath: string;
  /** Default 30 s: a working directory on a dead mount may never answer. */
  launchTimeoutMs?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;

export async function launch(options: LaunchOptions): Promise<Launched> {
  if (process.platform !== "linux") {
    const error = new Error(`ENOSYS: commands cannot be run on ${process.platform} yet, exec`);
    throw Object.assign(error, { code: "ENOSYS", syscall: "exec" });
  }
  const spec = encodeSpec(options);
  const master = options.terminal ? openMaster() : undefined;
  try {
    const helper = await startHelper(options.helperPath, master);
    return await negotiate(helper, options, spec, master);
  } catch (error) {
    if (master !== undefined) fs.closeSync(master);
    throw error;
  }
}

function openMaster(): number {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = fs.constants;
  try {
    return fs.openSync("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  } catch (cause) {
    throw stdioError(cause, "/dev/ptmx");
  }
}

function stdioError(cause: unknown, path: string): LaunchError {
  const { code = "EIO" } = cause as NodeJS.ErrnoException;
  return new LaunchError({ stage: "stdio", code, path, cause });
}

interface Helper {
  child: ChildProcess;
  pid: number;
  control: net.Socket;
  exited: Promise<RawExit>;
}

/** Its standard input is the terminal's master end, its standard output the control socket. */
async function startHelper(helperPath: string, master: number | undefined): Promise<Helper> {
  const child = spawn(helperPath, ["launch"], {
    cwd: "/",
    env: {},
    stdio: [master ?? "ignore", "pipe", "ignore"],
  });
  const exited = new Promise<RawExit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  if (child.pid === undefined) {
    const cause = await new Promise<NodeJS.ErrnoException>((resolve) =>
      child.once("error", resolve),
    );
    const code = cause.code ?? "EIO";
    throw new LaunchError({ stage: "connect", code, path: helperPath, cause });
  }
  // Any "pipe" of libuv is a socket pair, so this one can be written to as well.
  return { child, pid: child.pid, control: child.stdout as net.Socket, exited };
}

async function negotiate(
  helper: Helper,
  options: LaunchOptions,
  spec: Buffer,
  master: number | undefined,
): Promise<Launched> {
  const records = new RecordReader(helper.control);
  const timer = setTimeout(
    () => records.fail(new LaunchError({ stage: "connect", code: "ETIMEDOUT" })),
    options.launchTimeoutMs ?? DEFAULT_TIMEOUT_MS,
  );
  const opened: number[] = [];
  try {
    helper.control.write(spec);
    const ready = await records.next();
    if (ready?.type !== "ready") throw refusal(ready, options);
    openDescriptors(helper.pid, ready.descriptors, master, opened);
    helper.control.write(GO);
    const refused = await records.next();
    if (refused !== undefined) throw refusal(refused, options);
    return wrap(helper, opened, master);
  } catch (error) {
    for (const fd of opened) fs.closeSync(fd);
    helper.child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
    helper.control.destroy();
  }
}

function refusal(record: LaunchRecord | undefined, options: LaunchOptions): LaunchError {
  if (record?.type !== "error") return new LaunchError({ stage: "connect", code: "EPIPE" });
  const { stage, code, path } = record;
  return new LaunchError({ stage, code, path, searchPath: options.env["PATH"] ?? "" });
}

/** Opens the launcher's ends through /proc: stdout, stderr, perhaps stdin; or the slave alone. */
function openDescriptors(
  pid: number,
  [first, second, third]: [number, number, number],
  master: number | undefined,
  opened: number[],
): void {
  const { O_RDWR, O_RDONLY, O_WRONLY, O_NOCTTY } = fs.constants;
  const open = (descriptor: number, flags: number): void => {
    const path = `/proc/${pid}/fd/${descriptor}`;
    try {
      opened.push(fs.openSync(path, flags));
    } catch (cause) {
      throw stdioError(cause, path);
    }
  };
  if (master !== undefined) return open(first, O_RDWR | O_NOCTTY);
  open(second, O_RDONLY);
  open(third, O_RDONLY);
  if (first !== -1) open(first, O_WRONLY);
}

/** Makes streams, which own the descriptors from here on. */
function wrap(helper: Helper, opened: number[], master: number | undefined): Launched {
  const { pid, exited } = helper;
  if (master !== undefined) {
    const stream = new tty.ReadStream(master);
    const outputs: Launched["outputs"] = [{ stream, fd: master, name: "stdout" }];
    return { pid, exited, input: new TerminalInput(master), outputs, slave: opened[0] };
  }
  const [out, err, input] = opened.map((fd, index) => ({
    fd,
    stream: new net.Socket({ fd, readable: index < 2, writable: index === 2 }),
  }));
  if (out === undefined || err === undefined) throw new Error("launcher without output pipes");
  const outputs: Launched["outputs"] = [
    { ...out, name: "stdout" },
    { ...err, name: "stderr" },
  ];
  return { pid, exited, input: input && new PipeInput(input.stream), outputs, slave: undefined };
}
