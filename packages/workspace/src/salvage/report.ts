// What damage comes to for users: which states have lost which paths.

import type { DamagedState, StoreCheck } from "@devdev/protocol";
import type { CheckedStore, CheckReport, MetadataStore, ObjectCodec } from "@devdev/store";
import { check } from "@devdev/store";
import { pageId } from "@devdev/vfs";

import type { Salvaged } from "./salvage.js";
import { DamageMap, keptStates } from "./states.js";

const MOST_PATHS = 1000;

export interface ReportedStore extends CheckedStore {
  readonly metadata: CheckedStore["metadata"] &
    Pick<MetadataStore, "bases" | "snapshots" | "workspaces">;
}

export function stateOf(
  { workspace, what }: { workspace: { name: string }; what: string },
  salvaged: Salvaged | undefined,
): DamagedState {
  const { lost, damaged, found } = salvaged ?? { lost: ["/"], damaged: [], found: [] };
  return {
    workspace: workspace.name,
    what,
    lost: lost.slice(0, MOST_PATHS),
    lostCount: lost.length,
    damaged,
    found,
  };
}

/** The check with what its damage means. */
export function checkStore(
  store: ReportedStore,
  codec: ObjectCodec,
  { deep = false, onProgress }: { deep?: boolean; onProgress?: (objects: number) => void },
): StoreCheck & { damage: CheckReport["damage"] } {
  const started = performance.now();
  const report = check(store, codec, { deep, ...(onProgress && { onProgress }) });
  const { damage } = report;
  const damagedStates: DamagedState[] = [];
  if (damage.pages.length + damage.blocks.length > 0) {
    const map = new DamageMap(store.metadata, codec, damage, pageId);
    for (const state of keptStates(store.metadata)) {
      if (map.touches(state.root)) damagedStates.push(stateOf(state, map.salvaged(state.root)));
    }
  }
  const durationMs = performance.now() - started;
  return { ...report, deep, damagedStates, durationMs };
}
