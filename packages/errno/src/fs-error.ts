// FsError: a failed file operation, shaped like the errors of node:fs, so that code written against
// those understands it.

import { canonicalCode, errnoEntry } from "./table.js";

/** What a file operation was about. */
export interface FsErrorContext {
  /** The call, for example "open". */
  syscall: string;
  path?: string | Uint8Array | undefined;
  dest?: string | Uint8Array | undefined;
  cause?: unknown;
}

function text(path: string | Uint8Array): string {
  return typeof path === "string" ? path : Buffer.from(path).toString();
}

/** Like Node's: message "ENOENT: no such file or directory, open '/a'". */
export class FsError extends Error {
  readonly code: string;
  /** Negative. */
  readonly errno: number;
  readonly syscall: string;
  /** As text; of a path that is not UTF-8 with replacement characters. */
  declare readonly path?: string;
  declare readonly dest?: string;

  constructor(code: string, context: FsErrorContext) {
    const name = canonicalCode(code);
    const entry = errnoEntry(name) ?? { errno: -1, text: "unknown error" };
    const path = context.path === undefined ? undefined : text(context.path);
    const dest = context.dest === undefined ? undefined : text(context.dest);
    let message = `${name}: ${entry.text}, ${context.syscall}`;
    if (path !== undefined) message += ` '${path}'`;
    if (dest !== undefined) message += ` -> '${dest}'`;
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = name;
    this.errno = entry.errno;
    this.syscall = context.syscall;
    if (path !== undefined) this.path = path;
    if (dest !== undefined) this.dest = dest;
  }
}

// As Node's errors: the name stays "Error", and stack traces start with the message.
Object.defineProperty(FsError.prototype, "name", { value: "Error", configurable: true });
