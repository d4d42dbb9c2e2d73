// stat and its kin: what reports attributes. Apart from the other operations by path because the
// sync forms share one array for the numbers.

import * as native from "@devdev/native";
import type { PathArgument } from "@devdev/protocol";
import { pathBytes } from "./arguments.js";
import { call, hasCode, type EngineRef, type Operation } from "./call.js";
import { STAT_NUMBERS, statsFsOf, statsOf } from "./stats.js";

/** What a stat on this thread fills, and reads before anything else can run. */
const numbers = new Float64Array(STAT_NUMBERS);

/** An array of its own for each sync stat would cost more than the stat. */
function filled(handle: number, path: Uint8Array, follow: boolean): Float64Array {
  native.statSync(handle, path, follow, false, numbers);
  return numbers;
}

function filledAtOnce(handle: number, path: Uint8Array, follow: boolean) {
  return native.statAtOnce(handle, path, follow, numbers) ? { result: numbers } : undefined;
}

function filledIfAny(handle: number, path: Uint8Array, follow: boolean): Float64Array | undefined {
  return native.statSync(handle, path, follow, true, numbers) ? numbers : undefined;
}

function stats(syscall: "stat" | "lstat"): Operation<"stat"> {
  return (engine, path, options) => {
    const bytes = pathBytes(path);
    const bigint = options?.bigint === true;
    const args: [number, Uint8Array, boolean] = [engine.handle, bytes, syscall === "stat"];
    const subject = { syscall, path: bytes };
    if (options?.throwIfNoEntry !== false) {
      const forms = { sync: filled, promise: native.stat, atOnce: filledAtOnce };
      return call(engine, subject, forms, args, (of) => statsOf(of, engine.handle, bigint));
    }
    // Node's signature: undefined stands for a name that means nothing.
    const forms = { sync: filledIfAny, promise: ifAny };
    return call(engine, subject, forms, args, (of) =>
      of === undefined ? (undefined as never) : statsOf(of, engine.handle, bigint),
    );
  };
}

function ifAny(...args: Parameters<typeof native.stat>): Promise<Float64Array | undefined> {
  return native.stat(...args).catch((error: unknown) => {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return undefined;
    throw error;
  });
}
export const stat: Operation<"stat"> = stats("stat");
export const lstat: Operation<"lstat"> = stats("lstat");

/** Whether a path means something; throws where that cannot be said. */
export function exists(engine: EngineRef, path: PathArgument): boolean {
  const bytes = pathBytes(path);
  engine.tick();
  return filledIfAny(engine.handle, bytes, true) !== undefined;
}

export const statfs: Operation<"statfs"> = (engine, path) => {
  const bytes = pathBytes(path);
  const forms = { sync: native.statfsSync, promise: native.statfs };
  const subject = { syscall: "statfs", path: bytes };
  return call(engine, subject, forms, [engine.handle, bytes], statsFsOf);
};
