// The history of workspaces in SQLite.

import type { Database, Statement } from "better-sqlite3";

import type { EventRow, EventStore, NewEvent, OpenTurn } from "../events.js";
import { reading, unknownWorkspace, writing } from "./failures.js";

interface EventColumns {
  workspace: string;
  number: number;
  kind: string;
  at: number;
  parent: number | null;
  snapshot: number | null;
  state: string | null;
  detail: string;
}

interface TurnColumns {
  id: number;
  workspace: string;
  detail: string;
}

type Statements = Record<
  "nextNumber" | "insert" | "all" | "effects" | "open" | "turns" | "end" | "exists",
  Statement
>;

export class SqliteEvents implements EventStore {
  readonly #sql: Statements;
  readonly #together: <T>(work: () => T) => T;

  constructor(db: Database, together: <T>(work: () => T) => T) {
    this.#sql = statementsOf(db);
    this.#together = together;
  }

  addEvent({ effects, ...row }: NewEvent, ends?: number): EventRow {
    return this.#together(() =>
      writing(() => {
        const number = this.#sql.nextNumber.get(row.workspace) as number | undefined;
        if (number === undefined) throw unknownWorkspace(row.workspace);
        this.#sql.insert.run({
          parent: null,
          snapshot: null,
          state: null,
          ...row,
          number,
          detail: JSON.stringify(row.detail),
          effects: effects === undefined ? null : JSON.stringify(effects),
        });
        if (ends !== undefined) this.#sql.end.run(row.workspace, ends);
        return { ...row, number };
      }),
    );
  }

  events(workspace: string): EventRow[] {
    return (reading(() => this.#sql.all.all(workspace)) as EventColumns[]).map(eventOf);
  }

  effects(workspace: string, number: number): unknown {
    const text = reading(() => this.#sql.effects.get(workspace, number)) as string | null;
    return typeof text === "string" ? (JSON.parse(text) as unknown) : undefined;
  }

  openTurn(workspace: string, detail: Record<string, unknown>): OpenTurn {
    return this.#together(() =>
      writing(() => {
        if (!this.#sql.exists.get(workspace)) throw unknownWorkspace(workspace);
        const { lastInsertRowid } = this.#sql.open.run(workspace, JSON.stringify(detail));
        return { workspace, id: Number(lastInsertRowid), detail };
      }),
    );
  }

  openTurns(workspace: string): OpenTurn[] {
    const rows = reading(() => this.#sql.turns.all(workspace)) as TurnColumns[];
    return rows.map(({ id, detail }) => ({
      workspace,
      id,
      detail: JSON.parse(detail) as Record<string, unknown>,
    }));
  }
}

function eventOf({ parent, snapshot, state, detail, ...row }: EventColumns): EventRow {
  return {
    workspace: row.workspace,
    number: row.number,
    kind: row.kind,
    at: row.at,
    ...(parent === null ? {} : { parent }),
    ...(snapshot === null ? {} : { snapshot }),
    ...(state === null ? {} : { state }),
    detail: JSON.parse(detail) as Record<string, unknown>,
  };
}

function statementsOf(db: Database): Statements {
  return {
    nextNumber: db
      .prepare(
        "UPDATE workspaces SET last_event = last_event + 1 WHERE id = ? RETURNING last_event",
      )
      .pluck(),
    insert: db.prepare(
      `INSERT INTO events
         (workspace, number, kind, at, parent, snapshot, state, detail, effects)
       VALUES (@workspace, @number, @kind, @at, @parent, @snapshot, @state, @detail, @effects)`,
    ),
    all: db.prepare(
      `SELECT workspace, number, kind, at, parent, snapshot, state, detail
       FROM events WHERE workspace = ? ORDER BY number`,
    ),
    effects: db.prepare("SELECT effects FROM events WHERE workspace = ? AND number = ?").pluck(),
    open: db.prepare("INSERT INTO open_turns (workspace, detail) VALUES (?, ?)"),
    turns: db.prepare("SELECT * FROM open_turns WHERE workspace = ? ORDER BY id"),
    end: db.prepare("DELETE FROM open_turns WHERE workspace = ? AND id = ?"),
    exists: db.prepare("SELECT 1 FROM workspaces WHERE id = ?").pluck(),
  };
}
