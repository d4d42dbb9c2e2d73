// The history of one workspace: rows of its keeper, read once and then held here, since nobody else
// writes them while the workspace is open.

import type { EventRow, NewEvent, OpenTurn } from "@devdev/store";

export type OwnEvent = Omit<NewEvent, "workspace">;

/** Where the rows are. */
export interface EventBackend {
  events(): Promise<EventRow[]>;
  effects(number: number): Promise<unknown>;
  openTurns(): Promise<OpenTurn[]>;
  addEvent(row: OwnEvent, ends?: number): Promise<EventRow>;
  openTurn(detail: Record<string, unknown>): Promise<OpenTurn>;
}

export class EventLog {
  readonly #backend: EventBackend;
  #rows: Promise<EventRow[]> | undefined;

  constructor(backend: EventBackend) {
    this.#backend = backend;
  }

  /** Oldest first. */
  async all(): Promise<readonly EventRow[]> {
    this.#rows ??= this.#backend.events().catch((error: unknown) => {
      this.#rows = undefined;
      throw error;
    });
    return this.#rows;
  }

  /** `ends`: the open turn that it is the end of. Its parent is the last one unless it says so. */
  async add(row: OwnEvent, ends?: number): Promise<EventRow> {
    return this.added(await this.#backend.addEvent(await this.following(row), ends));
  }

  /** With its parent, for who adds it to the rows himself. */
  async following<E extends Omit<OwnEvent, "detail">>(row: E): Promise<E> {
    const parent = row.parent ?? (await this.all()).at(-1)?.number;
    return { ...row, ...(parent !== undefined && { parent }) };
  }

  /** It was added to the rows together with what it is about. */
  added(row: EventRow): EventRow {
    this.#rows = this.#rows?.then((rows) => {
      if (rows.at(-1)?.number !== row.number) rows.push(row);
      return rows;
    });
    return row;
  }

  effects(number: number): Promise<unknown> {
    return this.#backend.effects(number);
  }

  openTurns(): Promise<OpenTurn[]> {
    return this.#backend.openTurns();
  }

  openTurn(detail: Record<string, unknown>): Promise<OpenTurn> {
    return this.#backend.openTurn(detail);
  }
}
