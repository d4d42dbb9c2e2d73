// Errors as plain JSON and back, so that what a client throws equals what the library throws.
// Stacks stay at home.

import { DevdevError } from "./devdev-error.js";
import { FsError } from "./fs-error.js";

type Kind = "FsError" | "DevdevError" | "TypeError" | "RangeError" | "Error";

/** An error as JSON. */
export interface PlainError {
  kind: Kind;
  message: string;
  code?: string;
  errno?: number;
  syscall?: string;
  path?: string;
  dest?: string;
  hint?: string;
  details?: Record<string, unknown>;
  cause?: PlainError;
}

const TEXT_FIELDS = ["code", "syscall", "path", "dest", "hint"] as const;
/** Causes nest no deeper than this on the way, so that a ring of causes ends. */
const MAX_CAUSES = 8;

function kindOf(error: Error): Kind {
  if (error instanceof FsError) return "FsError";
  if (error instanceof DevdevError) return "DevdevError";
  if (error instanceof TypeError) return "TypeError";
  if (error instanceof RangeError) return "RangeError";
  return "Error";
}

/** Any thrown value as plain JSON. */
export function errorToPlain(error: unknown, depth = 0): PlainError {
  if (!(error instanceof Error)) return { kind: "Error", message: String(error) };
  const from = error as Error & Record<string, unknown>;
  const plain: PlainError = { kind: kindOf(error), message: error.message };
  for (const field of TEXT_FIELDS) {
    const value = from[field];
    if (typeof value === "string") plain[field] = value;
  }
  if (typeof from.errno === "number") plain.errno = from.errno;
  if (typeof from.details === "object" && from.details !== null) {
    plain.details = from.details as Record<string, unknown>;
  }
  if (error.cause !== undefined && depth < MAX_CAUSES) {
    plain.cause = errorToPlain(error.cause, depth + 1);
  }
  return plain;
}

function shell(plain: PlainError, cause: Error | undefined): Error {
  const options = cause === undefined ? undefined : { cause };
  const { code = "ERR_UNKNOWN" } = plain;
  switch (plain.kind) {
    case "FsError":
      return new FsError(code, { syscall: plain.syscall ?? "", cause });
    case "DevdevError":
      return new DevdevError(code, plain.message, { cause });
    case "TypeError":
      return new TypeError(plain.message, options);
    case "RangeError":
      return new RangeError(plain.message, options);
    case "Error":
      return new Error(plain.message, options);
  }
}

/** The reverse: the same class, message and fields. Unknown kinds become Error. */
export function errorFromPlain(plain: PlainError): Error {
  const cause = plain.cause === undefined ? undefined : errorFromPlain(plain.cause);
  const error = shell(plain, cause) ?? new Error(plain.message);
  error.message = plain.message;
  const fields = error as unknown as Record<string, unknown>;
  for (const field of [...TEXT_FIELDS, "errno", "details"] as const) {
    if (plain[field] !== undefined) fields[field] = plain[field];
  }
  return error;
}
