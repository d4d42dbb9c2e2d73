// A store that fails on purpose: after a number of writes, or at the commit. For testing that what
// wraps a store keeps its promises when the disk does not.

import { StoreError } from "../errors.js";
import type { EventStore } from "../events.js";
import type { BlockStore, MetadataStore, Store } from "../store.js";

const BLOCK_WRITES: ReadonlySet<PropertyKey> = new Set<keyof BlockStore>(["put", "delete"]);
const METADATA_WRITES: ReadonlySet<PropertyKey> = new Set<keyof MetadataStore>([
  "putPages",
  "deletePages",
  "createWorkspace",
  "updateWorkspace",
  "setCheckpoint",
  "removeWorkspace",
  "addSnapshot",
  "removeSnapshot",
  "removeSnapshots",
  "replaceSnapshot",
  "setCounter",
]);
const HISTORY_WRITES: ReadonlySet<PropertyKey> = new Set<keyof EventStore>([
  "addEvent",
  "openTurn",
]);

export interface FaultyStore extends Store {
  /** From now on so many writes succeed and the next one fails; undefined: none fails. */
  failAfter(writes: number | undefined): void;
}

/** The fault happens after the write was done, as when a disk fills up during a commit. */
export function makeFaulty(store: Store): FaultyStore {
  let left: number | undefined;
  const write = (): void => {
    if (left === undefined) return;
    if (left === 0) throw new StoreError("ERR_STORE_FULL", "the test said that the disk is full");
    left -= 1;
  };
  const failing = <T extends object>(target: T, writes: ReadonlySet<PropertyKey>): T =>
    new Proxy(target, {
      get(object, name) {
        const member: unknown = Reflect.get(object, name);
        if (name === "history") return failing(store.metadata.history, HISTORY_WRITES);
        if (typeof member !== "function") return member;
        if (!writes.has(name)) return member.bind(object) as unknown;
        return (...args: unknown[]): unknown =>
          store.transaction(() => {
            const result: unknown = member.apply(object, args);
            write();
            return result;
          });
      },
    });
  return {
    blocks: failing(store.blocks, BLOCK_WRITES),
    metadata: failing(store.metadata, METADATA_WRITES),
    transaction: (run, options) =>
      store.transaction(() => {
        const result = run();
        write();
        return result;
      }, options),
    verify: () => store.verify(),
    maintain: (idle) => store.maintain(idle),
    close: () => store.close(),
    failAfter: (writes) => {
      left = writes;
    },
  };
}
