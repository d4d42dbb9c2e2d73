// The history of a workspace as a store keeps it: what happened, in the order in which it ended,
// and commands that are being recorded and have not ended yet. Apart from the snapshots, which may
// go while what is said about them stays.

/** Something that happened to a workspace: a snapshot, a command, a restore, a fork, ... */
export interface EventRow {
  workspace: string;
  /** From 1 on, in the order in which they ended; never used again. */
  number: number;
  /** What happened; whoever writes it knows which kinds there are. */
  kind: string;
  /** Milliseconds since the epoch. */
  at: number;
  /** The event from whose state this one went on; none at the beginning. */
  parent?: number;
  /** The snapshot of the state after it: its sequence and its content id. */
  snapshot?: number;
  state?: string;
  /** What else there is to say, as JSON values. */
  detail: Record<string, unknown>;
}

/** `effects`: what may be long and is read with one event only; any JSON value. */
export type NewEvent = Omit<EventRow, "number"> & { effects?: unknown };

/** A command that is being recorded. */
export interface OpenTurn {
  workspace: string;
  /** From 1 on, among those of the store; tells it apart, no more. */
  id: number;
  detail: Record<string, unknown>;
}

export interface EventStore {
  /**
   * Hands out the number; `ends`: the open turn that this event is the end of, which goes with it.
   * ERR_STORE_NOT_FOUND when there is no such workspace.
   */
  addEvent(row: NewEvent, ends?: number): EventRow;
  /** Oldest first, without their effects. */
  events(workspace: string): EventRow[];
  /** What `addEvent` was given; undefined when there is no such event, or none were given. */
  effects(workspace: string, number: number): unknown;
  /** ERR_STORE_NOT_FOUND when there is no such workspace. */
  openTurn(workspace: string, detail: Record<string, unknown>): OpenTurn;
  /** Oldest first. */
  openTurns(workspace: string): OpenTurn[];
}
