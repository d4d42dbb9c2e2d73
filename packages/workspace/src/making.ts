// The parts of a workspace as the options of the library say: in memory, or in the store of a data
// directory, which is opened for it.

import { argumentError, DevdevError } from "@devdev/errno";
import type { WorkspaceOptions } from "@devdev/protocol";
import type { ImportSource } from "@devdev/vfs";

import { ephemeralParts, importedEphemeral } from "./ephemeral.js";
import type { ImportOptions, WorkspaceParts } from "./parts.js";
import { useStore } from "./shared-store.js";
import type { StoreService } from "./store-service/store-service.js";
import { createStored, importStored, openStored } from "./stored.js";

export type Importing = WorkspaceOptions & ImportOptions;
export type ReopenOptions = Pick<WorkspaceOptions, "clock"> & { dataDir: string };

export async function newParts(options: WorkspaceOptions): Promise<WorkspaceParts> {
  const directory = directoryOf(options);
  if (directory === undefined) return ephemeralParts(options);
  return inStore(directory, (store) => createStored(store, options));
}

export async function importedParts(
  source: ImportSource,
  options: WorkspaceOptions & ImportOptions,
): Promise<WorkspaceParts> {
  const directory = directoryOf(options);
  if (directory === undefined) return importedEphemeral(source, options);
  return inStore(directory, (store) => importStored(store, source, options));
}

export async function reopenedParts(name: string, options: ReopenOptions): Promise<WorkspaceParts> {
  return inStore(options.dataDir, async (store) => {
    const row = (await store.workspaces()).find((each) => each.name === name || each.id === name);
    if (!row) throw new DevdevError("ERR_NO_WORKSPACE", `there is no workspace ${name}`);
    return openStored(store, row, options);
  });
}

/** Undefined: in memory. */
function directoryOf({ ephemeral, dataDir }: WorkspaceOptions): string | undefined {
  if (ephemeral ?? dataDir === undefined) return undefined;
  if (dataDir !== undefined) return dataDir;
  const message = "a workspace that is not ephemeral needs a dataDir";
  throw argumentError("TypeError", "ERR_MISSING_ARGS", message);
}

/** Parts that give the store back when they are closed. */
async function inStore(
  directory: string,
  make: (store: StoreService) => Promise<WorkspaceParts>,
): Promise<WorkspaceParts> {
  const [store, giveBack] = await useStore(directory);
  try {
    const parts = await make(store);
    const onClosed = async (): Promise<void> => {
      await parts.onClosed?.();
      await giveBack();
    };
    const fork: WorkspaceParts["fork"] = (...of) => inStore(directory, () => parts.fork(...of));
    return { ...parts, fork, onClosed };
  } catch (error) {
    await giveBack();
    throw error;
  }
}
