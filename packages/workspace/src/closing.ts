// How a workspace ends: what runs in it first, then its mount, then what keeps it.

import type { Checkpointer } from "./checkpointer.js";
import type { Commands } from "./commands.js";
import type { Mounting } from "./mounting.js";
import type { WorkspaceParts } from "./parts.js";
import type { Timeline } from "./timeline.js";
import type { Turns } from "./turns.js";

export interface Ending {
  parts: WorkspaceParts;
  commands: Commands;
  checkpointer: Checkpointer;
  mounting: Mounting;
  timeline: Timeline;
  turns: Turns;
}

/** Without `keep` what was changed since the last checkpoint may be lost. */
export async function end(ending: Ending, keep: boolean): Promise<void> {
  const { commands, checkpointer, mounting, timeline, turns } = ending;
  const { keeper, vfs, onClosed } = ending.parts;
  try {
    await commands.end();
    await turns.settle();
    await checkpointer.stop();
    const mounted = mounting.path !== undefined;
    // Others may still map files of it: what they hold comes in before they lose the mount.
    if (mounted && keep) await timeline.checkpoint();
    if (mounted) await mounting.unmount({ force: true });
    if (keep) await timeline.checkpoint();
    await mounting.settle();
  } finally {
    await keeper.close();
    // A mount that could not be taken away keeps its engine; what went wrong there is what counts.
    if (vfs.hostMount === undefined) vfs.close();
    await onClosed?.();
  }
}
