// The snapshot rows of workspaces, read once and kept up to date by those who change them: a
// workspace with a thousand snapshots takes the next one as fast as the first.

import type { SnapshotRow } from "@devdev/store";

export class SnapshotLists {
  readonly #read: (workspace: string) => Promise<SnapshotRow[]>;
  /** Oldest first. */
  readonly #lists = new Map<string, SnapshotRow[]>();
  /** Goes up with every change: a list that was read meanwhile may lack it. */
  #changes = 0;

  constructor(read: (workspace: string) => Promise<SnapshotRow[]>) {
    this.#read = read;
  }

  /** The caller's to keep. */
  async of(workspace: string): Promise<SnapshotRow[]> {
    const known = this.#lists.get(workspace);
    if (known) return [...known];
    const changes = this.#changes;
    const rows = await this.#read(workspace);
    if (changes === this.#changes) this.#lists.set(workspace, rows);
    return [...rows];
  }

  /** Of a workspace that was made just now. */
  begin(workspace: string): void {
    this.#changes += 1;
    this.#lists.set(workspace, []);
  }

  add(row: SnapshotRow): void {
    this.#changes += 1;
    this.#lists.get(row.workspace)?.push(row);
  }

  /** Something was changed elsewhere: the next who asks reads it. */
  forget(workspace: string): void {
    this.#changes += 1;
    this.#lists.delete(workspace);
  }
}
