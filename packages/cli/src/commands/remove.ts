// devdev rm.

import { DevdevError } from "@devdev/errno";
import { line, printJson } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

export async function remove(
  workspace: string,
  options: GlobalOptions & { force?: boolean; yes?: boolean },
): Promise<void> {
  using session = await Session.open(options);
  const { id, name, snapshots } = await session.workspace(workspace);
  const asks =
    !options.yes && !options.force && !options.json && process.stdin.isTTY && process.stderr.isTTY;
  if (asks) {
    const { confirm } = await import("@clack/prompts");
    const sure = await confirm({
      message: `Remove workspace ${name} and its ${snapshots} snapshots?`,
      output: process.stderr,
    });
    if (sure !== true) throw new DevdevError("ECANCELED", "nothing was removed");
  }
  const removed = await session.call("workspace/remove", {
    workspace: id,
    ...(options.force && { force: true }),
  });
  if (options.json) return printJson(removed);
  line(`workspace ${removed.name} removed`);
}
