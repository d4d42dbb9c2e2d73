// Objects with some of their methods replaced, and whether a suite notices: for testing the suites
// themselves. Not part of what is exported.

import type { MetadataStore } from "../store.js";
import type { ConformanceCase } from "./block-store.js";

/** Rules, and what breaks each. */
export type Breaking<T> = Array<[string, (whole: T) => Partial<T>]>;

/** `target`, but for these members; the rest goes on as it is. */
export function over<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get(object, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name) as unknown;
      const member: unknown = Reflect.get(object, name, object);
      return typeof member === "function" ? (member.bind(object) as unknown) : member;
    },
  });
}

/** Whether all cases pass. */
export function unnoticed(cases: readonly ConformanceCase[]): boolean {
  return cases.every(({ run }) => {
    try {
      run();
      return true;
    } catch {
      return false;
    }
  });
}

/** Those of checkpoints alone. */
export function checkpoints(metadata: MetadataStore): Uint8Array[] {
  return metadata.workspaces().flatMap(({ checkpoint }) => (checkpoint ? [checkpoint.root] : []));
}

/** Those of snapshots alone. */
export function snapshotRoots(metadata: MetadataStore): Uint8Array[] {
  const rows = metadata.workspaces().flatMap(({ id }) => metadata.snapshots(id));
  return rows.map(({ root }) => root);
}
