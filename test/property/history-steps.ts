// What a history is made of, and how often each of it comes.

export type Step =
  | "work"
  | "snapshot"
  | "restore"
  | "look"
  | "fork"
  | "drop"
  | "gc"
  | "remount"
  | "restart";
const SHARES: Record<Step, number> = {
  work: 10,
  snapshot: 5,
  restore: 5,
  look: 2,
  fork: 1.5,
  drop: 1,
  gc: 0.5,
  remount: 1,
  restart: 0.5,
};
export const DECK = Object.entries(SHARES).flatMap(([step, share]) =>
  Array<Step>(share * 2).fill(step as Step),
);
