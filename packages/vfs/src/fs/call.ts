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

/** The forms of one operation in the addon. */
export interface Forms<A extends unknown[], R> {
  sync: (...args: A) => R;
  promise: (...args: A) => Promise<R>;
  /**
   * What a promise tries first: the same on this thread, where it neither waits nor takes long;
   * else undefined, and nothing has been done. The way to the pool and back costs many times what
   * a small call does.
   */
  atOnce?: (...args: A) => { result: R } | undefined;
}

const DONE = { result: undefined };

/** For what has no result: the addon says whether it was done. */
export function doneAtOnce<A extends unknown[]>(
  run: (...args: A) => boolean,
): (...args: A) => { result: void } | undefined {
  return (...args) => (run(...args) ? DONE : undefined);
}

/**
 * One in so many goes to the pool all the same, so that a program that awaits one call after the
 * other without end still gets its timers and events, as with node:fs.
 */
const AT_ONCE_IN_A_ROW = 32;
let atOnceInARow = 0;

function mayAnswerAtOnce(): boolean {
  atOnceInARow = (atOnceInARow + 1) % AT_ONCE_IN_A_ROW;
  return atOnceInARow !== 0;
}

/** A call of the addon in both forms. */
export function call<A extends unknown[], R, T>(
  engine: EngineRef,
  subject: Subject,
  forms: Forms<A, R>,
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
        const now = mayAnswerAtOnce() ? forms.atOnce?.(...args) : undefined;
        result = now === undefined ? await forms.promise(...args) : now.result;
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
