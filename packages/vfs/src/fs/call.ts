// One file operation, ready to run in either form: what is checked, what is called and how its
// failure reads is said once for the sync form and the promise.

import { devdevError, FsError } from "@devdev/errno";
import type { FsOperations } from "@devdev/protocol";

/** A process-wide engine number, and how the clock given by the caller reaches it. */
export interface EngineRef {
  readonly handle: number;
  /** Sets the engine's clock, when the caller brought one. */
  tick(): void;
  /** What fsync waits for. */
  sync(): Promise<void>;
}

export interface Call<T> {
  sync(): T;
  promise(): Promise<T>;
}

/** What a failure is about. */
export interface Subject {
  syscall: string;
  path?: string | Uint8Array;
  dest?: string | Uint8Array;
}

/** Steps that have lost the path when they fail, as in Node. */
const PATHLESS: ReadonlySet<string> = new Set(["read", "write"]);

/** The addon's error (code, step) as what callers see. */
export function thrownBy(error: unknown, subject: Subject): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const { code, message: step } = error as Error & { code?: unknown };
  if (typeof code !== "string") return error;
  if (code.startsWith("ERR_")) return devdevError(code, step, { cause: error });
  if (PATHLESS.has(step)) return new FsError(code, { syscall: step });
  return new FsError(code, step === "" ? subject : { ...subject, syscall: step });
}

/** Throws what a call of the addon that is no file operation threw, as callers see it. */
export function rethrow(error: unknown): never {
  throw thrownBy(error, { syscall: "" });
}

/** Runs a call of the addon that is no file operation. */
export function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    return rethrow(error);
  }
}

/** A call of the addon: `sync` and `promise` are its two forms of one operation. */
export function call<A extends unknown[], R, T>(
  engine: EngineRef,
  subject: Subject,
  forms: { sync: (...args: A) => R; promise: (...args: A) => Promise<R> },
  args: A,
  finish: (result: R) => T,
): Call<T> {
  return {
    sync: () => {
      engine.tick();
      let result: R;
      try {
        result = forms.sync(...args);
      } catch (error) {
        throw thrownBy(error, subject);
      }
      return finish(result);
    },
    promise: async () => {
      engine.tick();
      let result: R;
      try {
        result = await forms.promise(...args);
      } catch (error) {
        throw thrownBy(error, subject);
      }
      return finish(result);
    },
  };
}

/** A call whose failure may still be a result: `rescue` returns it or throws. */
export function rescued<T>(inner: Call<T>, rescue: (error: unknown) => T): Call<T> {
  return {
    sync: () => {
      try {
        return inner.sync();
      } catch (error) {
        return rescue(error);
      }
    },
    promise: () => inner.promise().catch(rescue),
  };
}

/** Whether an error has this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}

export function nothing(): void {}

/** An operation of the file API in both forms. */
export type Operation<K extends keyof FsOperations> = (
  engine: EngineRef,
  ...args: Parameters<FsOperations[K]>
) => Call<ReturnType<FsOperations[K]>>;
