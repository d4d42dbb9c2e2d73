// FsError and the errno table. Separate because both sides of the protocol and the engine's face
// need the same errors, and it depends on nothing.

export { canonicalCode, errnoEntry, type ErrnoEntry, errnoName } from "./table.js";
export { FsError, type FsErrorContext } from "./fs-error.js";
export {
  argumentError,
  DevdevError,
  devdevError,
  type DevdevErrorOptions,
} from "./devdev-error.js";
export { errorFromPlain, errorToPlain, type PlainError } from "./plain.js";
