// Which workspace a command is for: the one it names, else the one that contains the caller's
// directory, else the only one.

import { join } from "node:path";
import { DevdevError } from "@devdev/errno";
import type { WorkspaceSummary } from "@devdev/protocol";
import type { Host, Workspace } from "@devdev/workspace";

/** What selecting needs of the host. */
export interface Listed {
  list(): Promise<WorkspaceSummary[]>;
}

/** What finding one looks at. */
type Known = Pick<WorkspaceSummary, "id" | "name"> & {
  readonly mountPoint?: string | undefined;
  readonly lastMountPoint?: string | undefined;
};

/** Finds it, or says which there are. A name may be a path at or below a mount point. */
export async function selectWorkspace(
  host: Listed,
  name: string | undefined,
  cwd: string | undefined,
): Promise<WorkspaceSummary> {
  const all = await host.list();
  if (name !== undefined) {
    const found = named(all, name, cwd);
    if (found) return found;
    throw new DevdevError("ERR_NO_WORKSPACE", `there is no workspace ${name}`, {
      hint:
        all.length === 0 ? "make one with `devdev mount DIRECTORY`" : `there are: ${names(all)}`,
    });
  }
  const around = containing(all, cwd);
  if (around) return around;
  const mounted = all.filter((w) => w.mountPoint !== undefined);
  const only = all.length === 1 ? all[0] : mounted.length === 1 ? mounted[0] : undefined;
  if (only) return only;
  if (all.length === 0) {
    throw new DevdevError("ERR_NO_WORKSPACE", "there is no workspace", {
      hint: "make one with `devdev mount DIRECTORY`",
    });
  }
  throw new DevdevError(
    "ERR_AMBIGUOUS_WORKSPACE",
    `there are ${all.length} workspaces: ${names(all)}`,
    {
      hint: "choose one with -w NAME, or run the command inside its directory",
    },
  );
}

/** Opens the one of this name or id. */
export async function openNamed(host: Host, name: string): Promise<Workspace> {
  return host.open((await selectWorkspace(host, name, undefined)).id);
}

/**
 * The one of this name or id, or at this path. `ws` may mean ./ws as well: when both exist and
 * differ, it is refused, as a guess could unmount or remove the wrong one.
 */
export function named<W extends Known>(
  all: readonly W[],
  name: string,
  cwd: string | undefined,
): W | undefined {
  const called = all.find((w) => w.name === name || w.id === name);
  if (name.startsWith("/")) return called ?? containing(all, name);
  const path = cwd === undefined ? undefined : join(cwd, name);
  const there = all.find((w) => w.mountPoint !== undefined && w.mountPoint === path);
  if (called && there && called !== there) {
    throw new DevdevError(
      "ERR_AMBIGUOUS_WORKSPACE",
      `${name} is a workspace at ${called.mountPoint ?? "no mount point"}, and ./${name} is ${there.name}`,
      { hint: `say ./${name} or ${there.name} for the one, ${called.id} for the other` },
    );
  }
  return called ?? there;
}

/** The one that a path is in: that is mounted around it, else that was. */
export function containing<W extends Known>(
  all: readonly W[],
  path: string | undefined,
): W | undefined {
  if (path === undefined) return undefined;
  const at = (where: string | undefined): boolean =>
    where !== undefined && (path === where || path.startsWith(`${where}/`));
  return (
    all.find((w) => at(w.mountPoint)) ??
    all.find((w) => w.mountPoint === undefined && at(w.lastMountPoint))
  );
}

function names(all: WorkspaceSummary[]): string {
  return all
    .map((w) => (w.mountPoint === undefined ? w.name : `${w.name} (${w.mountPoint})`))
    .join(", ");
}
