// Which snapshots commands need that are still being recorded: the states before them. Whatever
// lets go of snapshots by itself spares these; apart from the rules, which know no history.

import type { OpenTurn } from "@devdev/store";

/** Of a command that is being recorded, as far as it matters here. */
interface Begun {
  /** The snapshot of the state before it. */
  before?: number;
}

/** Those that no open turn needs. */
export function sparing<S extends { sequence: number }>(
  open: readonly Pick<OpenTurn, "detail">[],
  snapshots: readonly S[],
): S[] {
  const needed = new Set(open.map(({ detail }) => (detail as Begun).before));
  return snapshots.filter(({ sequence }) => !needed.has(sequence));
}
