// What every metadata store must do with the history of workspaces, as named cases over a factory.

import assert from "node:assert/strict";

import type { EventStore, NewEvent } from "../events.js";
import type { Store } from "../store.js";
import { makeCase } from "./block-store.js";
import type { ConformanceCase, StoreFactory } from "./block-store.js";
import { assertCode, sampleWorkspace } from "./samples.js";

/** An event with the fields that every one has. */
export function sampleEvent(workspace: string, more: Partial<NewEvent> = {}): NewEvent {
  return { workspace, kind: "snapshot", at: 3000, detail: {}, ...more };
}

export function eventStoreConformance(open: StoreFactory): ConformanceCase[] {
  const define = (name: string, body: (history: EventStore, store: Store) => void) =>
    makeCase(open, name, (store) => {
      store.metadata.createWorkspace(sampleWorkspace("w"));
      store.metadata.createWorkspace(sampleWorkspace("v"));
      body(store.metadata.history, store);
    });
  return [
    define("numbers events per workspace, in the order they came", (history) => {
      assert.equal(history.addEvent(sampleEvent("w")).number, 1);
      assert.equal(history.addEvent(sampleEvent("w", { parent: 1 })).number, 2);
      assert.equal(history.addEvent(sampleEvent("v")).number, 1);
      assert.deepEqual(
        history.events("w").map(({ number }) => number),
        [1, 2],
      );
      assertCode("ERR_STORE_NOT_FOUND", () => history.addEvent(sampleEvent("x")));
    }),
    define("gives back every field of an event, and its effects apart", (history) => {
      const row = {
        ...sampleEvent("w", { kind: "exec", parent: 7, snapshot: 3, state: "cd".repeat(32) }),
        detail: { argv: ["sh", "-c", "é"], exitCode: 3 },
      };
      const effects = [{ path: "/ä", bytes: 5 }];
      const added = history.addEvent({ ...row, effects });
      assert.deepEqual(added, { ...row, number: 1 });
      history.addEvent(sampleEvent("w"));
      assert.deepEqual(history.events("w"), [
        { ...row, number: 1 },
        { ...sampleEvent("w"), number: 2 },
      ]);
      assert.deepEqual(history.effects("w", 1), effects);
      assert.equal(history.effects("w", 2), undefined);
      assert.equal(history.effects("w", 3), undefined);
    }),
    define("keeps turns until the event that ends them", (history) => {
      const first = history.openTurn("w", { argv: ["a"] });
      const second = history.openTurn("w", { argv: ["b"] });
      history.openTurn("v", {});
      assert.deepEqual(history.openTurns("w"), [first, second]);
      assert.deepEqual(first.detail, { argv: ["a"] });
      history.addEvent(sampleEvent("w", { kind: "exec" }), first.id);
      assert.deepEqual(history.openTurns("w"), [second]);
      assertCode("ERR_STORE_NOT_FOUND", () => history.openTurn("x", {}));
    }),
    define("takes back an event of a transaction that fails", (history, store) => {
      const { id } = history.openTurn("w", {});
      const fails = (): void =>
        store.transaction(() => {
          history.addEvent(sampleEvent("w"), id);
          throw new RangeError("enough");
        });
      assert.throws(fails);
      assert.deepEqual(history.events("w"), []);
      assert.equal(history.openTurns("w").length, 1);
    }),
    define("removes the history with its workspace", (history, store) => {
      history.addEvent({ ...sampleEvent("w"), effects: [1] });
      history.openTurn("w", {});
      history.addEvent(sampleEvent("v"));
      assert.equal(store.metadata.removeWorkspace("w"), true);
      assert.deepEqual([history.events("w"), history.openTurns("w")], [[], []]);
      assert.equal(history.effects("w", 1), undefined);
      assert.equal(history.events("v").length, 1);
    }),
  ];
}
