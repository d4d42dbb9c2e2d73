// The history of workspaces in memory.

import type { EventRow, EventStore, NewEvent, OpenTurn } from "../events.js";
import type { Journal } from "./objects.js";
import { JournalMap } from "./objects.js";

interface Kept {
  row: EventRow;
  effects: unknown;
}

/** All of it, as it is written to a file and read again. */
export interface HistoryRows {
  events: Kept[];
  turns: OpenTurn[];
  last: Array<[workspace: string, number: number]>;
  lastTurn: number;
}

export class MemoryEvents implements EventStore {
  readonly #journal: Journal;
  readonly #events: JournalMap<string, Kept>;
  readonly #turns: JournalMap<number, OpenTurn>;
  /** The last number given to an event of each workspace. */
  readonly #last: JournalMap<string, number>;
  /** Throws when there is no such workspace. */
  readonly #need: (workspace: string) => void;
  #lastTurn = 0;

  constructor(journal: Journal, need: (workspace: string) => void, rows?: HistoryRows) {
    this.#journal = journal;
    this.#events = new JournalMap(journal);
    this.#turns = new JournalMap(journal);
    this.#last = new JournalMap(journal);
    this.#need = need;
    for (const each of rows?.events ?? []) {
      this.#events.map.set(`${each.row.workspace}/${each.row.number}`, each);
    }
    for (const turn of rows?.turns ?? []) this.#turns.map.set(turn.id, turn);
    for (const [workspace, number] of rows?.last ?? []) this.#last.map.set(workspace, number);
    this.#lastTurn = rows?.lastTurn ?? 0;
  }

  rows(): HistoryRows {
    return {
      events: [...this.#events.map.values()],
      turns: [...this.#turns.map.values()],
      last: [...this.#last.map],
      lastTurn: this.#lastTurn,
    };
  }

  addEvent({ effects, ...row }: NewEvent, ends?: number): EventRow {
    this.#need(row.workspace);
    const number = (this.#last.map.get(row.workspace) ?? 0) + 1;
    const added: Kept = structuredClone({ row: { ...row, number }, effects });
    this.#journal.run(() => {
      this.#last.set(row.workspace, number);
      this.#events.set(`${row.workspace}/${number}`, added);
      if (ends !== undefined) this.#turns.delete(ends);
    });
    return structuredClone(added.row);
  }

  events(workspace: string): EventRow[] {
    const mine = [...this.#events.map.values()].filter(({ row }) => row.workspace === workspace);
    return mine.map(({ row }) => structuredClone(row)).toSorted((a, b) => a.number - b.number);
  }

  effects(workspace: string, number: number): unknown {
    return structuredClone(this.#events.map.get(`${workspace}/${number}`)?.effects);
  }

  openTurn(workspace: string, detail: Record<string, unknown>): OpenTurn {
    this.#need(workspace);
    const turn = structuredClone({ workspace, id: ++this.#lastTurn, detail });
    this.#turns.set(turn.id, turn);
    return structuredClone(turn);
  }

  openTurns(workspace: string): OpenTurn[] {
    const mine = [...this.#turns.map.values()].filter((turn) => turn.workspace === workspace);
    return mine.map((turn) => structuredClone(turn)).toSorted((a, b) => a.id - b.id);
  }

  /** Everything of a workspace that is being removed. */
  forget(workspace: string): void {
    this.events(workspace).forEach(({ number }) => this.#events.delete(`${workspace}/${number}`));
    this.openTurns(workspace).forEach(({ id }) => this.#turns.delete(id));
    this.#last.delete(workspace);
  }
}
