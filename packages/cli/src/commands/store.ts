// devdev store check | repair | stats: through the daemon when one runs, else beside it.

import { offlineStore, type OfflineStoreTask } from "@devdev/client";
import type { DamagedState, Params, Results, StoreCheck } from "@devdev/protocol";
import { line, printJson, size, table } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { ProgressLine } from "../progress.js";
import { Session } from "../session.js";

const MOST_SHOWN = 20;

async function asked<M extends OfflineStoreTask>(
  task: M,
  params: Params<M>,
  options: GlobalOptions,
): Promise<Results[M]> {
  let session: Session;
  try {
    session = await Session.open(options, { start: false });
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_NO_DAEMON") throw error;
    using progress = new ProgressLine(options.json ?? false);
    const onProgress = (done: number): void =>
      progress.report({ token: "", stage: "checking objects", done });
    return await offlineStore(task, params, { onProgress });
  }
  using open = session;
  return await open.call(task, params);
}

export async function check(options: GlobalOptions & { deep?: boolean }): Promise<number> {
  const report = await asked("store/check", { deep: options.deep ?? false }, options);
  if (options.json) printJson(report);
  else tellCheck(report);
  return report.ok ? 0 : 1;
}

function tellCheck(report: StoreCheck): void {
  const { ok, deep, roots, pages, blocks, orphans, problems } = report;
  const how = deep ? "read and compared" : "looked for; --deep also reads them";
  line(`${roots} trees, ${pages} pages, ${blocks} blocks (${how})`);
  if (orphans.objects > 0) {
    line(
      `${orphans.objects} objects (${size(orphans.bytes)}) are not used: \`devdev gc\` frees them`,
    );
  }
  for (const problem of problems.slice(0, MOST_SHOWN)) line(`problem: ${problem}`);
  if (problems.length > MOST_SHOWN) line(`... and ${problems.length - MOST_SHOWN} more`);
  for (const state of report.damagedStates) tellState(state, "has lost");
  line(ok ? "the store is whole" : "the store is damaged: `devdev store repair --dry-run`");
}

function tellState(state: DamagedState, verb: string, outcome?: string): void {
  const { workspace, what, lost, lostCount, damaged, found } = state;
  const after = outcome === undefined ? "" : ` (${outcome})`;
  line(`${workspace}, ${what}: ${verb} ${lostCount + damaged.length} paths${after}`);
  for (const path of lost.slice(0, MOST_SHOWN)) line(`  lost     ${path}`);
  if (lostCount > MOST_SHOWN) line(`  lost     ... and ${lostCount - MOST_SHOWN} more`);
  for (const path of damaged.slice(0, MOST_SHOWN)) line(`  in part  ${path}`);
  for (const path of found.slice(0, MOST_SHOWN)) line(`  found    ${path}`);
}

export async function repair(options: GlobalOptions & { dryRun?: boolean }): Promise<number> {
  const done = await asked("store/repair", { dryRun: options.dryRun ?? false }, options);
  if (options.json) printJson(done);
  else {
    const would = done.dryRun ? "would be " : "";
    if (done.rebuilt !== undefined) line(`database: ${done.rebuilt}`);
    if (done.mended > 0) line(`${done.mended} objects ${would}mended`);
    if (done.removed > 0)
      line(`${done.removed} broken objects ${would}moved to ${done.quarantine}`);
    else if (done.quarantine !== undefined) line(`the old files are in ${done.quarantine}`);
    for (const state of done.states)
      tellState(state, done.dryRun ? "would lose" : "lost", state.outcome);
    for (const problem of done.left) line(`left: ${problem}`);
    if (done.ok) line(done.dryRun ? "nothing would be left to repair" : "the store is whole");
  }
  return done.ok ? 0 : 1;
}

export async function stats(options: GlobalOptions): Promise<void> {
  const s = await asked("store/stats", {}, options);
  if (options.json) return printJson(s);
  line(`database     ${size(s.files.database)}, log ${size(s.files.log)} (schema ${s.schema})`);
  line(`blocks       ${s.blocks.objects}, ${size(s.blocks.bytes)} of ${size(s.blocks.rawBytes)}`);
  line(`pages        ${s.pages.objects}, ${size(s.pages.bytes)} of ${size(s.pages.rawBytes)}`);
  line(`trees        ${size(s.logicalBytes)} in all`);
  line(`saved        ${s.dedupRatio} times by sharing, ${s.compressionRatio} times by compression`);
  line(`not used     ${size(s.garbageBytes)}`);
  if (s.limit !== undefined) line(`limit        ${size(s.limit)}`);
  const rows = s.workspaces.map((w) => [
    w.name,
    String(w.snapshots),
    size(w.uniqueBytes),
    size(w.sharedBytes),
  ]);
  if (rows.length > 0) table(["WORKSPACE", "SNAPSHOTS", "ITS ALONE", "SHARED"], rows);
}
