// The history of one workspace, read and written by the threads of the store.

import type { EventBackend } from "../event-log.js";
import type { WorkerCalls } from "./calls.js";
import type { ReaderCalls, WriterCalls } from "./interface.js";

export function historyOf(
  workspace: string,
  reader: WorkerCalls<ReaderCalls>,
  writer: WorkerCalls<WriterCalls>,
): EventBackend {
  return {
    events: () => reader.call("events", workspace),
    effects: (number) => reader.call("effects", workspace, number),
    openTurns: () => reader.call("openTurns", workspace),
    addEvent: (row, ends) => writer.call("addEvent", { ...row, workspace }, ends),
    openTurn: (detail) => writer.call("openTurn", workspace, detail),
  };
}
