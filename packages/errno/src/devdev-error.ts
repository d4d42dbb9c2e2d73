// DevdevError: a failure that is not one file operation (a mount, a snapshot, the daemon), with a
// code and what to do next; and argument mistakes with Node's ERR_* codes.

/** A failure with a code; `hint` is a sentence that says what to do next. */
export class DevdevError extends Error {
  /** "ERR_..." or an errno name such as EBUSY. */
  readonly code: string;
  declare readonly hint?: string;
  /** More for programs: plain JSON. */
  declare readonly details?: Record<string, unknown>;

  constructor(code: string, message: string, options: DevdevErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.details !== undefined) this.details = options.details;
  }
}
Object.defineProperty(DevdevError.prototype, "name", { value: "DevdevError", configurable: true });

export interface DevdevErrorOptions {
  hint?: string | undefined;
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
}

/**
 * `throw devdevError("EBUSY", "/w is in use by 3 processes", { hint: "end them, or use --force"
 * })`.
 */
export function devdevError(
  code: string,
  message: string,
  options?: DevdevErrorOptions,
): DevdevError {
  return new DevdevError(code, message, options);
}

/** A caller's mistake, as Node reports it: a TypeError or RangeError with a code. */
export function argumentError(
  kind: "TypeError" | "RangeError",
  code: `ERR_${string}`,
  message: string,
): TypeError | RangeError {
  const error = kind === "TypeError" ? new TypeError(message) : new RangeError(message);
  return Object.assign(error, { code });
}
