// Which workspace a command is for: the one it names, else the one that contains the caller's
// directory, else the only one.

import { DevdevError } from "@devdev/errno";
import type { WorkspaceSummary } from "@devdev/protocol";

/** What selecting needs of the host. */
export interface Listed {
  list(): Promise<WorkspaceSummary[]>;
}

/** Finds it, or says which there are. A name with a slash is a path at or below a mount point. */
export async function selectWorkspace(
  host: Listed,
  name: string | undefined,
  cwd: string | undefined,
): Promise<WorkspaceSummary> {
  const all = await host.list();
  if (name !== undefined) return named(all, name);
  const around = cwd === undefined ? undefined : containing(all, cwd);
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

function named(all: WorkspaceSummary[], name: string): WorkspaceSummary {
  const found =
    all.find((w) => w.name === name || w.id === name) ??
    (name.includes("/") ? containing(all, name) : undefined);
  if (found) return found;
  throw new DevdevError("ERR_NO_WORKSPACE", `there is no workspace ${name}`, {
    hint: all.length === 0 ? "make one with `devdev mount DIRECTORY`" : `there are: ${names(all)}`,
  });
}

function containing(all: WorkspaceSummary[], path: string): WorkspaceSummary | undefined {
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
