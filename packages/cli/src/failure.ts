// How a command fails: one line on stderr (a hint on the next), one exit code, decided here.

import { errorToPlain } from "@devdev/errno";
import { onOneLine } from "@devdev/protocol";

/** The command line makes no sense: exit code 2. */
export class UsageError extends Error {
  readonly code = "ERR_USAGE";
}

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const EXIT_EXEC_FAILED = 125;
const EXIT_INTERRUPTED = 130;

/** It was stopped by Ctrl-C: nothing is to be said about it. */
export class Interrupted extends Error {
  readonly code = "ERR_INTERRUPTED";
}

/** What the command line was understood to want. */
interface Wanted {
  json: boolean;
  exec: boolean;
}

/** Reports an error; returns the exit code. */
export function failure(error: unknown, { json, exec }: Wanted): number {
  if (error instanceof Interrupted) return EXIT_INTERRUPTED;
  const plain = errorToPlain(error);
  if (json) process.stderr.write(`${JSON.stringify({ error: plain })}\n`);
  else {
    process.stderr.write(`devdev: ${onOneLine(plain.message)}\n`);
    if (plain.hint !== undefined) process.stderr.write(`        ${onOneLine(plain.hint)}\n`);
  }
  if (process.env["DEVDEV_DEBUG"] && error instanceof Error)
    process.stderr.write(`${error.stack ?? ""}\n`);
  if (error instanceof UsageError) return EXIT_USAGE;
  return exec ? EXIT_EXEC_FAILED : EXIT_FAILURE;
}

/** Says what a person should know though the command goes on. */
export function warning(text: string, { json }: Pick<Wanted, "json">): void {
  const line = json ? JSON.stringify({ warning: text }) : `devdev: ${onOneLine(text)}`;
  process.stderr.write(`${line}\n`);
}

/** Reports what the parser says about a command line: "error: ..." and perhaps a suggestion. */
export function usageFailure(text: string, { json }: Pick<Wanted, "json">): void {
  const message = text.trim().replace(/^error: /, "");
  if (json) failure(new UsageError(message), { json, exec: false });
  else process.stderr.write(`devdev: ${message}\n`);
}
