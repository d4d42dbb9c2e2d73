// What is said when the store has lost something that is needed: which state, and what helps.
// Beside the check, which finds it before anybody needs it.

import { DevdevError } from "@devdev/errno";

import type { WorkspaceParts } from "./parts.js";

const HINT =
  "`devdev store check --deep` says what is lost, `devdev store repair` mends what can be";

/** Does what reads a state; damage fails with the state's name. */
export async function named<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (code !== "ERR_STORE_CORRUPT" && code !== "ERR_CORRUPT") throw error;
    throw new DevdevError("ERR_STORE_CORRUPT", `${what} is damaged in the store: ${message}`, {
      hint: HINT,
      cause: error,
    });
  }
}

/** The log names what a program was refused with EIO. */
export function noteDamage({
  keeper,
  log,
  name,
}: Pick<WorkspaceParts, "keeper" | "log" | "name">): void {
  keeper.onDamage((damage) =>
    log?.warn(
      { workspace: name, damage, hint: HINT },
      "a file could not be read: the store is damaged",
    ),
  );
}
