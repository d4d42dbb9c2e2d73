// What a comparison is asked for with: as callers say it, and as messages have it.

import { resolve } from "node:path";
import type { Against, DiffOptions, Open } from "@devdev/protocol";

type Asked = Omit<DiffOptions, "against"> & {
  /** As much of the other workspace as messages name. */
  against?: Omit<Against, "workspace"> & { workspace: { readonly id: string } };
};
type Compared = Omit<Extract<Open, { kind: "diff" }>, "kind" | "workspace">;

export function comparedBy(
  a: string | undefined,
  b: string | undefined,
  { host, against, ...options }: Asked,
): Compared {
  return {
    ...(a !== undefined && { a }),
    ...(b !== undefined && { b }),
    // The daemon has another working directory.
    ...(host !== undefined && { host: resolve(host) }),
    ...(against && { against: { ...against, workspace: against.workspace.id } }),
    ...options,
  };
}
