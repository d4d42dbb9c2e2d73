// What a person is told of a workspace whose daemon died while it was mounted: what is seen of it
// is its last checkpoint, and how it comes back.

import type { WorkspaceSummary } from "@devdev/protocol";
import { time } from "./print.js";

/** One sentence; undefined when nothing is to be said. */
export function interruption({ name, interrupted }: WorkspaceSummary): string | undefined {
  if (!interrupted) return undefined;
  const { mountPoint, checkpointAt } = interrupted;
  const state =
    checkpointAt === undefined
      ? "it had no checkpoint yet and is empty"
      : `this is its checkpoint of ${clock(checkpointAt)}`;
  return (
    `workspace ${name} was mounted at ${mountPoint} when its daemon ended without warning; ` +
    `${state}; \`devdev mount ${mountPoint}\` brings it back`
  );
}

/** The time, with the day unless it is today. */
export function clock(at: number): string {
  const [day, hour] = time(at).split(" ");
  return day === time(Date.now()).split(" ")[0] ? (hour as string) : time(at);
}
