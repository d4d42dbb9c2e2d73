// What a case of the contract over the Workspace interface is, and what an implementation hands in.
// Cases use assert and know no test runner, so that every suite can run them.

import type { Workspace, WorkspaceOptions } from "@devdev/protocol";

/** One implementation. */
export interface WorkspaceMaker {
  create(options?: WorkspaceOptions): Promise<Workspace>;
  fromBytes(bytes: Uint8Array, options?: WorkspaceOptions): Promise<Workspace>;
}

export interface ContractCase {
  name: string;
  /** Needs host mounts. */
  mounts?: boolean;
  run(maker: WorkspaceMaker): Promise<void>;
}

/** A case on one new workspace, closed afterwards. */
export function onWorkspace(
  name: string,
  run: (workspace: Workspace) => Promise<void>,
  options: WorkspaceOptions = {},
): ContractCase {
  return {
    name,
    async run(maker) {
      await using workspace = await maker.create(options);
      await run(workspace);
    },
  };
}

/** The same, mounted at a directory of its own. */
export function onMounted(
  name: string,
  run: (workspace: Workspace) => Promise<void>,
): ContractCase {
  const mounted = onWorkspace(name, async (workspace) => {
    await workspace.mount();
    await run(workspace);
  });
  return { ...mounted, mounts: true };
}

/** The fields of an error that callers may look at. */
export function errorFields(error: unknown): object {
  if (!(error instanceof Error)) return { thrown: error };
  const { name, message } = error;
  const own = error as unknown as Record<string, unknown>;
  const fields = ["code", "errno", "syscall", "path", "dest", "hint", "details"];
  const present = fields.filter((field) => own[field] !== undefined);
  const kind =
    error instanceof TypeError ? "TypeError" : error instanceof RangeError ? "RangeError" : "Error";
  return { kind, name, message, ...Object.fromEntries(present.map((f) => [f, own[f]])) };
}

/** What a promise rejects with; fails when it does not. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<Error & Record<string, unknown>> {
  try {
    await promise;
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  throw new Error("it resolved, and should not have");
}
