// devdev export, devdev import.

import { resolve } from "node:path";
import { importPieces, receive } from "@devdev/client";
import type { Results } from "@devdev/protocol";
import { UsageError, warning } from "../failure.js";
import { pour } from "../pour.js";
import { duration, line, printJson, shortId, size } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

/** For standard output and input. */
const STREAM = "-";

type ExportOptions = GlobalOptions & { force?: boolean; tar?: boolean };
type ImportOptions = GlobalOptions & { name?: string; numericOwner?: boolean; tar?: boolean };

export async function exportTo(
  file: string,
  ref: string | undefined,
  options: ExportOptions,
): Promise<void> {
  if (file === STREAM) return exportToOutput(ref, options);
  using session = await Session.open(options);
  const { id } = await session.workspaceAsLeft();
  const written = await session.call("snapshot/export", {
    workspace: id,
    file: resolve(file),
    ...(ref !== undefined && { ref }),
    ...(options.force && { force: true }),
    ...(options.tar && { tar: true }),
  });
  if (options.json) return printJson(written);
  warnOfSockets(written.skipped, options);
  line(
    `${shortId(written.id)} written to ${file} (${size(written.bytes)}, ${duration(written.durationMs)})`,
  );
}

async function exportToOutput(ref: string | undefined, options: ExportOptions): Promise<void> {
  if (process.stdout.isTTY) throw new UsageError("an export is not for a terminal");
  using session = await Session.open(options);
  const { id: workspace } = await session.workspaceAsLeft();
  const wanted = { ...(ref !== undefined && { ref }), ...(options.tar && { tar: true }) };
  const end = await session.run((signal, report) =>
    pour(receive({ kind: "export", workspace, ...wanted }, { signal }), (done) =>
      report("writing", done),
    ),
  );
  warnOfSockets((end as { skipped: number }).skipped, options);
}

function warnOfSockets(skipped: number, { json = false }: GlobalOptions): void {
  if (skipped === 0) return;
  warning(`left out: ${skipped} sockets, which tar archives cannot hold`, { json });
}

export async function importFrom(file: string, options: ImportOptions): Promise<void> {
  using session = await Session.open(options);
  const wanted = {
    ...(options.name !== undefined && { name: options.name }),
    ...(options.numericOwner && { numericOwner: true }),
    ...(options.tar && { tar: true }),
  };
  const imported =
    file === STREAM
      ? await importInput(session, wanted)
      : await session.call("workspace/import", { file: resolve(file), ...wanted });
  if (options.json) return printJson(imported);
  if (imported.skipped > 0) {
    const what = `left out: ${imported.skipped} device nodes, which only root may make`;
    warning(what, { json: false });
  }
  line(
    `workspace ${imported.name} imported (${size(imported.bytes)}, snapshot ${shortId(imported.snapshot.id)})`,
  );
  line(`mount it with: devdev mount --name ${imported.name} DIRECTORY`);
}

async function importInput(
  session: Session,
  wanted: { name?: string; numericOwner?: boolean; tar?: boolean },
): Promise<Results["workspace/import"]> {
  const { stdin } = process;
  if (stdin.isTTY) throw new UsageError("an import does not come from a terminal");
  try {
    return await session.run((signal, report) => {
      const pieces = counted(stdin, (done) => report("reading", done));
      return importPieces(pieces, wanted, { signal });
    });
  } finally {
    // What is left of it would keep this program waiting.
    stdin.destroy();
  }
}

async function* counted(
  pieces: AsyncIterable<Buffer>,
  onProgress: (done: number) => void,
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const piece of pieces) {
    onProgress((done += piece.length));
    yield piece;
  }
}
