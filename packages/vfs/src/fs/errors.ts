// Failures that Node reports with codes of its own, beyond the errno of a system call.

import { argumentError, FsError } from "@devdev/errno";
import { hasCode } from "./call.js";

/** A file beyond what one Buffer takes. */
export function tooLarge(error: unknown): never {
  if (!hasCode(error, "EFBIG")) throw error;
  const message = "The file is larger than 2 GiB: read it in pieces";
  throw argumentError("RangeError", "ERR_FS_FILE_TOO_LARGE", message);
}

/**
 * An error of one of Node's own file operations (rm, cp): an FsError's fields under the ERR_FS_*
 * code.
 */
export function operationError(code: string, message: string, from: unknown): Error {
  const error = new Error(message, { cause: from });
  const fields = from instanceof FsError ? { ...from } : {};
  return Object.assign(error, fields, { code });
}
