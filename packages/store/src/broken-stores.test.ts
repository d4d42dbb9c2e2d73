// Whether the suites for the history and for whole stores notice: for each rule a store that breaks
// it and nothing else. A rule that no case fails for is not tested.

import { describe, expect, it } from "vitest";

import type { EventStore } from "./events.js";
import { createMemoryStore, hexOf } from "./index.js";
import type { MetadataStore, Store } from "./store.js";
import { type Breaking, checkpoints, over, snapshotRoots, unnoticed } from "./test-kit/broken.js";
import { eventStoreConformance, storeConformance } from "./test-kit/index.js";

const EVENTS: Breaking<EventStore> = [
  [
    "every workspace has numbers of its own",
    (h) => {
      let last = 0;
      return { addEvent: (row, ends) => ({ ...h.addEvent(row, ends), number: ++last }) };
    },
  ],
  ["events are listed oldest first", (h) => ({ events: (id) => h.events(id).toReversed() })],
  [
    "every field comes back",
    (h) => ({
      addEvent: (row, ends) => {
        const { parent: _, ...rest } = row;
        return h.addEvent(rest, ends);
      },
    }),
  ],
  ["effects come back", () => ({ effects: () => undefined })],
  [
    "effects are apart",
    (h) => ({
      events: (id) => h.events(id).map((row) => ({ ...row, effects: h.effects(id, row.number) })),
    }),
  ],
  ["an event ends its turn", (h) => ({ addEvent: (row) => h.addEvent(row) })],
  ["open turns are listed", () => ({ openTurns: () => [] })],
  ["in the order they were opened", (h) => ({ openTurns: (id) => h.openTurns(id).toReversed() })],
  [
    "only what is there has events",
    (h) => ({
      addEvent: (row, ends) => {
        try {
          return h.addEvent(row, ends);
        } catch {
          return { ...row, number: 1 };
        }
      },
    }),
  ],
  [
    "only what is there has turns",
    (h) => ({
      openTurn: (workspace, detail) => {
        try {
          return h.openTurn(workspace, detail);
        } catch {
          return { workspace, id: 1, detail };
        }
      },
    }),
  ],
];

const STORES: Breaking<Store> = [
  ["what throws is taken back", () => ({ transaction: (run) => run() })],
  ["rows are taken back with blocks", () => ({ metadata: createMemoryStore().metadata })],
  ["blocks are taken back with rows", () => ({ blocks: createMemoryStore().blocks })],
  [
    "a transaction has a value",
    (s) => ({
      transaction: (run) => {
        s.transaction(run);
        return undefined as never;
      },
    }),
  ],
  [
    "collections keep what a snapshot needs",
    (s) => ({ metadata: over(s.metadata, { roots: () => checkpoints(s.metadata) }) }),
  ],
  [
    "collections keep what a base needs",
    (s) => ({
      metadata: over(s.metadata, {
        roots: () => [...checkpoints(s.metadata), ...snapshotRoots(s.metadata)],
      }),
    }),
  ],
  ["collections free what nothing needs", (s) => ({ blocks: over(s.blocks, { delete: () => 0 }) })],
  [
    "a lost block is found",
    (s) => ({
      blocks: over(s.blocks, { missing: (ids) => s.blocks.missing(ids).fill(0) }),
    }),
  ],
  [
    "a lost page is found",
    (s) => {
      const known = new Map<string, ReturnType<MetadataStore["page"]>>();
      const page: MetadataStore["page"] = (id) => {
        const found = s.metadata.page(id) ?? known.get(hexOf(id));
        known.set(hexOf(id), found);
        return found;
      };
      const putPages: MetadataStore["putPages"] = (pages) => {
        const all = [...pages];
        for (const each of all) known.set(hexOf(each.id), each);
        return s.metadata.putPages(all);
      };
      return { metadata: over(s.metadata, { page, putPages }) };
    },
  ],
];

const storeWith = (change: (whole: Store) => Partial<Store>) => (): Store => {
  const whole = createMemoryStore();
  return over(whole, change(whole));
};

describe("the suites notice", () => {
  it.each([eventStoreConformance, storeConformance])("nothing where nothing is broken", (suite) => {
    expect(unnoticed(suite(storeWith(() => ({}))))).toBe(true);
  });

  it.each(EVENTS)("of the history: %s", (_, broken) => {
    const store = storeWith(({ metadata }) => {
      const history = over(metadata.history, broken(metadata.history));
      return { metadata: over(metadata, { history }) };
    });
    expect(unnoticed(eventStoreConformance(store))).toBe(false);
  });

  it.each(STORES)("of stores: %s", (_, broken) => {
    expect(unnoticed(storeConformance(storeWith(broken)))).toBe(false);
  });
});
