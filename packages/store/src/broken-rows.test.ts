// Whether the suite for metadata stores notices: for each rule a store that breaks it and nothing
// else. A rule that no case fails for is not tested.

import { describe, expect, it } from "vitest";

import { createMemoryStore } from "./index.js";
import type { MetadataStore, NewSnapshot, SnapshotRow } from "./store.js";
import { type Breaking, checkpoints, over, snapshotRoots, unnoticed } from "./test-kit/broken.js";
import { metadataStoreConformance } from "./test-kit/index.js";

/** Errors with a code are swallowed. */
function silently<A extends unknown[]>(work: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      work(...args);
    } catch {
      // This is what is to be noticed.
    }
  };
}

const WORKSPACES: Breaking<MetadataStore> = [
  [
    "workspaces are listed oldest first",
    (m) => ({ workspaces: () => m.workspaces().toReversed() }),
  ],
  ["workspaces are found by name", () => ({ workspaceByName: () => undefined })],
  ["names are unique", (m) => ({ createWorkspace: silently((row) => m.createWorkspace(row)) })],
  [
    "what is not asked for stays",
    (m) => ({ updateWorkspace: (id, change) => m.updateWorkspace(id, { options: {}, ...change }) }),
  ],
  [
    "where it was mounted can be forgotten",
    (m) => ({
      updateWorkspace: (id, { mountPath, ...change }) =>
        m.updateWorkspace(id, typeof mountPath === "string" ? { ...change, mountPath } : change),
    }),
  ],
  [
    "only what is there can be changed",
    (m) => ({ updateWorkspace: silently((id, change) => m.updateWorkspace(id, change)) }),
  ],
  [
    "a checkpoint replaces the one before",
    (m) => ({
      setCheckpoint: (id, checkpoint) =>
        m.workspace(id)?.checkpoint ? undefined : m.setCheckpoint(id, checkpoint),
    }),
  ],
  [
    "only what is there has a checkpoint",
    (m) => ({ setCheckpoint: silently((id, checkpoint) => m.setCheckpoint(id, checkpoint)) }),
  ],
  [
    "whether there was one is told",
    (m) => ({ removeWorkspace: (id) => m.removeWorkspace(id) || true }),
  ],
  [
    "a removed workspace is gone",
    (m) => ({ removeWorkspace: (id) => m.workspace(id) !== undefined }),
  ],
  ["a removed workspace has no snapshots", haunted],
];

/** Snapshots of workspaces that were removed stay. */
function haunted(m: MetadataStore): Partial<MetadataStore> {
  const ghosts = new Map<string, SnapshotRow[]>();
  return {
    removeWorkspace: (id) => {
      if (m.workspace(id)) ghosts.set(id, m.snapshots(id));
      return m.removeWorkspace(id);
    },
    snapshots: (id) => (m.workspace(id) ? m.snapshots(id) : (ghosts.get(id) ?? [])),
  };
}

const SNAPSHOTS: Breaking<MetadataStore> = [
  [
    "a sequence is never used again",
    (m) => ({
      addSnapshot: (row) => ({
        ...m.addSnapshot(row),
        sequence: m.snapshots(row.workspace).length,
      }),
    }),
  ],
  [
    "every workspace has sequences of its own",
    (m) => {
      let last = 0;
      return { addSnapshot: (row) => ({ ...m.addSnapshot(row), sequence: ++last }) };
    },
  ],
  [
    "names of snapshots are unique in a workspace",
    (m) => ({
      addSnapshot: (row) => {
        const taken = m.snapshots(row.workspace).some(({ name }) => name === row.name);
        if (!taken) return m.addSnapshot(row);
        const { name: _, ...nameless } = row;
        return m.addSnapshot(nameless);
      },
    }),
  ],
  [
    "and only there",
    (m) => ({
      addSnapshot: (row: NewSnapshot) => {
        const all = m.workspaces().flatMap(({ id }) => m.snapshots(id));
        const other = all.find(({ name }) => name !== undefined && name === row.name);
        return m.addSnapshot(other ? { ...row, workspace: other.workspace } : row);
      },
    }),
  ],
  [
    "every field comes back",
    (m) => ({
      addSnapshot: (row) => {
        const { message: _, ...rest } = row;
        return m.addSnapshot(rest);
      },
    }),
  ],
  [
    "snapshots are listed oldest first",
    (m) => ({ snapshots: (id) => m.snapshots(id).toReversed() }),
  ],
  [
    "whether there was a snapshot is told",
    (m) => ({ removeSnapshot: (...which) => m.removeSnapshot(...which) || true }),
  ],
  [
    "how many there were is told",
    (m) => ({
      removeSnapshots: (id, sequences) => {
        const all = [...sequences];
        m.removeSnapshots(id, all);
        return all.length;
      },
    }),
  ],
  [
    "all of them go",
    (m) => ({
      removeSnapshots: (id, sequences) => {
        const all = [...sequences];
        const there = m.snapshots(id).filter(({ sequence }) => all.includes(sequence));
        m.removeSnapshots(id, all.slice(0, 1));
        return there.length;
      },
    }),
  ],
  [
    "another tree is another tree",
    (m) => ({
      replaceSnapshot: (id, sequence, tree) => {
        const row = m.snapshots(id).find((each) => each.sequence === sequence);
        m.replaceSnapshot(id, sequence, { ...tree, root: row?.root ?? tree.root });
      },
    }),
  ],
  [
    "only a snapshot that is there gets one",
    (m) => ({ replaceSnapshot: silently((...given) => m.replaceSnapshot(...given)) }),
  ],
  [
    "rows are the caller's",
    (m) => {
      const lent = new Map<string, SnapshotRow[]>();
      return { snapshots: (id) => lend(lent, m, id) };
    },
  ],
];

function lend(lent: Map<string, SnapshotRow[]>, m: MetadataStore, id: string): SnapshotRow[] {
  const rows = lent.get(id) ?? m.snapshots(id);
  lent.set(id, rows);
  return rows;
}

const REST: Breaking<MetadataStore> = [
  ["roots of snapshots stay", (m) => ({ roots: () => checkpoints(m) })],
  ["roots of checkpoints stay", (m) => ({ roots: () => snapshotRoots(m) })],
  ["roots of bases stay", (m) => ({ roots: () => [...checkpoints(m), ...snapshotRoots(m)] })],
  ["bases are forks, then merges", (m) => ({ bases: (id) => m.bases(id).toReversed() })],
  ["only what is there has bases", (m) => ({ setBase: silently((row) => m.setBase(row)) })],
  ["later merges can be forgotten", () => ({ removeMerges: () => undefined })],
  ["only later ones", (m) => ({ removeMerges: (id) => m.removeMerges(id, -1) })],
  ["counters outlive their setting", () => ({ setCounter: () => undefined })],
  ["counters are large", (m) => ({ setCounter: (name, value) => m.setCounter(name, value | 0) })],
  ["pages come back", () => ({ page: () => undefined })],
  ["missing pages are told", (m) => ({ missingPages: (ids) => m.missingPages(ids).fill(0) })],
  ["pages are listed", () => ({ scanPages: () => ({ objects: [], next: undefined }) })],
  ["pages go", () => ({ deletePages: () => 0 })],
];

describe("the suite for metadata notices", () => {
  const conformance = (broken: (whole: MetadataStore) => Partial<MetadataStore>) =>
    metadataStoreConformance(() => {
      const whole = createMemoryStore();
      return over(whole, { metadata: over(whole.metadata, broken(whole.metadata)) });
    });

  it("nothing where nothing is broken", () => {
    expect(unnoticed(conformance(() => ({})))).toBe(true);
  });

  it.each([...WORKSPACES, ...SNAPSHOTS, ...REST])("%s", (_, broken) => {
    expect(unnoticed(conformance(broken))).toBe(false);
  });
});
