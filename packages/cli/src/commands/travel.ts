// devdev undo, devdev redo, and the paths of devdev restore.

import { posix } from "node:path";
import type { BytePath, TravelResult, WorkspaceSummary } from "@devdev/protocol";
import { pathOf } from "@devdev/protocol";
import { exactWords } from "../exact-words.js";
import { UsageError } from "../failure.js";
import { duration, line, printJson, shortId } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";
import { numberOf } from "./history.js";

interface TravelFlags extends GlobalOptions {
  steps?: number;
  live?: boolean;
  kill?: boolean;
}

export async function undo(
  paths: string[],
  options: TravelFlags & { turn?: string; force?: boolean },
): Promise<void> {
  const { turn, force, steps } = options;
  if (paths.length === 0 && (turn !== undefined || force)) {
    throw new UsageError("--turn and --force go with paths: devdev undo --turn 7 -- src/");
  }
  if (paths.length > 0 && steps !== undefined) {
    throw new UsageError("--steps goes without paths: with them, what one command did is undone");
  }
  using session = await Session.open(options);
  const summary = await session.workspaceAsLeft();
  const only = paths.length > 0 && { paths: await pathsWithin(summary, paths) };
  const result = await session.call("history/undo", {
    ...travel(summary, options),
    ...only,
    ...(turn !== undefined && { turn: numberOf(turn) }),
    ...(force && { force }),
  });
  print(
    result,
    options,
    only ? "undone" : `undone ${result.steps === 1 ? "1 step" : `${result.steps} steps`}`,
  );
}

export async function redo(options: TravelFlags): Promise<void> {
  using session = await Session.open(options);
  const summary = await session.workspaceAsLeft();
  const result = await session.call("history/redo", travel(summary, options));
  print(result, options, `redone ${result.steps === 1 ? "1 step" : `${result.steps} steps`}`);
}

function travel(
  { id: workspace }: WorkspaceSummary,
  { steps, live, kill }: TravelFlags,
): { workspace: string; steps?: number; live?: true; kill?: true } {
  return {
    workspace,
    ...(steps !== undefined && { steps }),
    ...(live && { live: true }),
    ...(kill && { kill: true }),
  };
}

function print(result: TravelResult, { json }: GlobalOptions, done: string): void {
  if (json) return printJson(result);
  const files = `${result.filesChanged} ${result.filesChanged === 1 ? "file" : "files"} changed`;
  line(
    `${done}: now at ${result.to}, ${shortId(result.id)} (${files}, ${duration(result.durationMs)})`,
  );
  if (result.saved) {
    line(
      `what was in no snapshot is kept as ${shortId(result.saved.id)} (#${result.saved.sequence})`,
    );
  }
}

/**
 * Paths of the command line as paths of the workspace: relative ones to where we are when that is
 * inside the mount, else to the workspace's root; absolute ones are of the host when they are below
 * the mount, else of the workspace.
 */
export async function pathsWithin(
  { mountPoint }: WorkspaceSummary,
  paths: string[],
): Promise<BytePath[]> {
  const here = within(mountPoint, process.cwd()) ?? "/";
  const words = await exactWords(paths);
  return words.map((word) => {
    // Byte by byte, since names need not be UTF-8.
    const text = Buffer.from(word as Buffer).toString("latin1");
    if (text === "") throw new UsageError("a path is empty");
    const place = (path: string): string => Buffer.from(path).toString("latin1");
    const absolute = text.startsWith("/")
      ? (within(mountPoint && place(mountPoint), text) ?? text)
      : posix.join(place(here), text);
    const normal = posix.normalize(absolute).replace(/(.)\/+$/, "$1");
    return pathOf(Buffer.from(normal, "latin1"));
  });
}

function within(mountPoint: string | undefined, path: string): string | undefined {
  if (mountPoint === undefined) return undefined;
  if (path === mountPoint) return "/";
  return path.startsWith(`${mountPoint}/`) ? path.slice(mountPoint.length) : undefined;
}
