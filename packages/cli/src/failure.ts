// How a command fails: one line on stderr (a hint on the next), one exit code, decided here.

import { errorToPlain } from "@devdev/errno";

/** The command line makes no sense: exit code 2. */
export class UsageError extends Error {
  readonly code = "ERR_USAGE";
}

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const EXIT_EXEC_FAILED = 125;

/** Reports an error; returns the exit code. */
export function failure(error: unknown, options: { json: boolean; exec: boolean }): number {
  const plain = errorToPlain(error);
  if (options.json) process.stderr.write(`${JSON.stringify({ error: plain })}\n`);
  else {
    process.stderr.write(`devdev: ${plain.message}\n`);
    if (plain.hint !== undefined) process.stderr.write(`        ${plain.hint}\n`);
  }
  if (process.env["DEVDEV_DEBUG"] && error instanceof Error)
    process.stderr.write(`${error.stack ?? ""}\n`);
  if (error instanceof UsageError) return EXIT_USAGE;
  return options.exec ? EXIT_EXEC_FAILED : EXIT_FAILURE;
}
