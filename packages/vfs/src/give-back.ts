// What a process that rests gives back to the system.

import * as native from "@devdev/native";

/** From now on code that is not in use does not stay in memory, some 30 MiB after a start. */
export function giveBackCode(): void {
  native.giveBackCode();
}

/** Gives memory back to the system that was freed: all of it, once the engines rest. */
export function giveBackMemory(): void {
  native.giveBackMemory();
}
