// Which workspaces were mounted when the process before this one died, until they are mounted
// again: what is found of them is their last checkpoint, and whoever uses it should know.

import type { WorkspaceSummary } from "@devdev/protocol";
import type { WorkspaceRow } from "@devdev/store";

type Interruption = NonNullable<WorkspaceSummary["interrupted"]>;

export class Interruptions {
  readonly #byId: Map<string, Interruption>;

  /** From the rows as the other process left them: checkpoints made since are none of its. */
  constructor(rows: readonly WorkspaceRow[]) {
    const found = rows.flatMap(({ id, mounted, mountPath, checkpoint }) => {
      if (!mounted || mountPath === undefined) return [];
      const at = checkpoint && { checkpointAt: checkpoint.at };
      return [[id, { mountPoint: mountPath, ...at }] as const];
    });
    this.#byId = new Map(found);
  }

  /** For the workspace's summary. */
  of(id: string): Pick<WorkspaceSummary, "interrupted"> {
    const interrupted = this.#byId.get(id);
    return interrupted ? { interrupted } : {};
  }

  /** It is mounted again. */
  end(id: string): void {
    this.#byId.delete(id);
  }
}
