// Runs a started command to its end and gathers what it printed: exec in terms of spawn, the same
// for the library and the client.

import type { ExecOptions, ExecProcess, ExecResult } from "./workspace-exec.js";

/** Feeds `options.stdin` (none means end of file), waits, returns output and exit status. */
export async function collectOutput(
  process: ExecProcess,
  options: ExecOptions,
): Promise<ExecResult> {
  // A command may end without reading its input: what matters is how it ended.
  const fed = feed(process, options.stdin).catch(() => undefined);
  const result = await gatherOutput(process, options.pty !== false);
  await fed;
  return result;
}

/** Waits for the end and returns what was printed; somebody else feeds the input. */
export async function gatherOutput(process: ExecProcess, terminal: boolean): Promise<ExecResult> {
  const all: Buffer[] = [];
  const streams = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  process.onOutput((chunk, stream) => {
    all.push(chunk);
    streams[stream].push(chunk);
  });
  const status = await process.wait();
  const bytes = Buffer.concat(all);
  const result = { ...status, bytes, output: bytes.toString("utf8") };
  if (terminal) return result;
  return {
    ...result,
    stdout: Buffer.concat(streams.stdout),
    stderr: Buffer.concat(streams.stderr),
  };
}

async function feed(process: ExecProcess, stdin: Uint8Array | string | undefined): Promise<void> {
  if (stdin !== undefined && stdin.length > 0) await process.write(stdin);
  await process.end();
}
