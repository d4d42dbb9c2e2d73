// What goes wrong in a statement, as the store's errors.

import { asStoreError, StoreError } from "../errors.js";

export function unknownWorkspace(id: string): StoreError {
  return new StoreError("ERR_STORE_NOT_FOUND", `there is no workspace ${id}`);
}

export function reading<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, "reading the store");
  }
}

export function writing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, "writing the store");
  }
}
