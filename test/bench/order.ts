// In which order the contenders of a round take their turns.

import type { Contender } from "./contenders.ts";

type Placed = Pick<Contender, "transport" | "who">;

/**
 * Contenders of one transport and user are compared with each other and stay together, so that a
 * machine that changes its mind does so for all of them; which group begins moves with the rounds.
 * Within a group each follows another one in each round, as in the rows of a balanced Latin square
 * (Williams 1949): what one leaves behind (free memory that the host has taken back, pages on
 * their way to the disk) meets all of the others.
 */
export function orderOf<T extends Placed>(contenders: T[], round: number, rounds: number): T[] {
  const groups = Map.groupBy(contenders, ({ transport, who }) => `${transport ?? ""}@${who}`);
  const each = [...groups.values()].map((group) => balanced(group, round));
  return rotated(each, Math.floor((round * each.length) / rounds)).flat();
}

/** Each is followed by each other one equally often within twice as many rounds as there are. */
function balanced<T>(group: T[], round: number): T[] {
  const { length } = group;
  const zigzag = group.map((_, i) => (i % 2 === 1 ? (i + 1) / 2 : length - i / 2));
  const row = zigzag.map((place) => group[(place + round) % length]!);
  return round % 2 === 1 && length % 2 === 1 ? row.toReversed() : row;
}

function rotated<T>(all: T[], by: number): T[] {
  return [...all.slice(by), ...all.slice(0, by)];
}
