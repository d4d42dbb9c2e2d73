// devdev export, devdev import.

import { resolve } from "node:path";
import { duration, line, printJson, shortId, size } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

export async function exportTo(
  file: string,
  ref: string | undefined,
  options: GlobalOptions & { force?: boolean },
): Promise<void> {
  using session = await Session.open(options);
  const { id } = await session.workspaceAsLeft();
  const written = await session.call("snapshot/export", {
    workspace: id,
    file: resolve(file),
    ...(ref !== undefined && { ref }),
    ...(options.force && { force: true }),
  });
  if (options.json) return printJson(written);
  line(
    `${shortId(written.id)} written to ${file} (${size(written.bytes)}, ${duration(written.durationMs)})`,
  );
}

export async function importFrom(
  file: string,
  options: GlobalOptions & { name?: string; numericOwner?: boolean },
): Promise<void> {
  using session = await Session.open(options);
  const imported = await session.call("workspace/import", {
    file: resolve(file),
    ...(options.name !== undefined && { name: options.name }),
    ...(options.numericOwner && { numericOwner: true }),
  });
  if (options.json) return printJson(imported);
  line(
    `workspace ${imported.name} imported (${size(imported.bytes)}, snapshot ${shortId(imported.snapshot.id)})`,
  );
  line(`mount it with: devdev mount --name ${imported.name} DIRECTORY`);
}
