// Errors of the host's file system as errors of a store.

import { StoreError } from "../errors.js";

/** Anything that is no error of a system call passes through unchanged. */
export function asHostError(error: unknown, doing: string): unknown {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof StoreError || syscall === undefined) return error;
  const full = code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
  const message = `${doing}: ${(error as Error).message}`;
  return new StoreError(full ? "ERR_STORE_FULL" : "ERR_STORE_IO", message, error);
}
