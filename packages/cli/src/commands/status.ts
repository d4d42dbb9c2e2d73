// devdev ls, devdev status.

import { interruption } from "../interrupted.js";
import { duration, line, printJson, shortId, size, table, time } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";
import { quotaInWords } from "./retention.js";

export async function list(options: GlobalOptions): Promise<void> {
  using session = await Session.open(options);
  const workspaces = await session.call("workspace/list", {});
  if (options.json) return printJson(workspaces);
  if (workspaces.length === 0) return line("no workspaces; make one with `devdev mount DIRECTORY`");
  const rows = workspaces.map((w) => [
    w.name,
    w.mountPoint ?? (w.lastMountPoint === undefined ? "-" : `(${w.lastMountPoint})`),
    w.interrupted ? "interrupted" : w.ephemeral ? "ephemeral" : w.durable ? "durable" : "kept",
    String(w.snapshots),
    time(w.createdAt),
  ]);
  table(["NAME", "MOUNTED AT", "STATE", "SNAPSHOTS", "CREATED"], rows);
}

export async function status(options: GlobalOptions): Promise<void> {
  using session = await Session.open(options);
  const { id } = await session.workspace();
  const s = await session.call("workspace/status", { workspace: id });
  if (options.json) return printJson(s);
  const { usage } = s;
  line(`workspace    ${s.name}${s.ephemeral ? " (ephemeral)" : s.durable ? " (durable)" : ""}`);
  if (s.forkOf !== undefined) line(`forked from  ${s.forkOf}`);
  const how = [s.transport, s.writeback ? "writeback" : undefined].filter((word) => word);
  const over = s.mountPoint === undefined || how.length === 0 ? "" : ` (${how.join(", ")})`;
  line(`mounted at   ${s.mountPoint ?? "-"}${over}`);
  if (s.whyClassic !== undefined) line(`             not io_uring: ${s.whyClassic}`);
  const told = interruption(s);
  if (told !== undefined) line(`interrupted  ${told}`);
  line(
    `content      ${size(usage.bytes)} of ${size(usage.maxBytes)}, ${usage.inodes} of ${usage.maxInodes} inodes`,
  );
  line(
    `not stored   ${size(usage.dirtyBytes)}${usage.dirtyBytes > 0 ? " (a crash of the daemon would lose them)" : ""}`,
  );
  if (usage.lastCheckpointAt !== undefined)
    line(`checkpoint   ${duration(Date.now() - usage.lastCheckpointAt)} ago`);
  const latest = s.latestSnapshot;
  if (latest)
    line(
      `snapshots    ${s.snapshots}, newest ${shortId(latest.id)} ${latest.name ?? latest.message ?? ""}`,
    );
  if (s.store?.limit !== undefined) line(`store        ${quotaInWords(s.store)}`);
  for (const { pid, command, startedAt } of s.processes) {
    line(`running      ${pid} ${command} (since ${duration(Date.now() - startedAt)})`);
  }
}
