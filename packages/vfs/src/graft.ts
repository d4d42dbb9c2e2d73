// Trees of which some paths are as in another tree: what restoring single paths makes live.

import * as native from "@devdev/native";
import { guarded, rethrow, thrownBy } from "./fs/call.js";
import { Tree } from "./tree.js";

/** A path that is to be as in another tree; `shallow`: of a directory its attributes only. */
export interface GraftPath {
  path: Buffer;
  shallow: boolean;
}

/** What cannot be is refused, with the path. */
export async function grafted(
  engine: number,
  base: Tree,
  source: Tree,
  paths: readonly GraftPath[],
): Promise<Tree> {
  const grafting = guarded(() => native.graft(engine, base.handle, source.handle, [...paths]));
  const { tree, at = 0, errno } = await grafting.catch(rethrow);
  if (tree !== undefined) return Tree.own(tree);
  const error = Object.assign(new Error(""), { code: errno ?? "EIO" });
  throw thrownBy(error, { syscall: "restore", path: paths[at]?.path ?? Buffer.alloc(0) });
}
