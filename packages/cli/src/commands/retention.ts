// devdev forget, retention, gc.

import type { RetentionRule, SnapshotInfo, StoreQuota } from "@devdev/protocol";
import { duration, line, printJson, shortId, size, time } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

export async function forget(refs: string[], options: GlobalOptions): Promise<void> {
  using session = await Session.open(options);
  const { id } = await session.workspace();
  const { removed } = await session.call("snapshot/remove", { workspace: id, refs });
  if (options.json) return printJson({ removed });
  for (const each of removed) line(`removed ${described(each)}`);
}

interface RetentionOptions extends GlobalOptions {
  keepLast?: number;
  keepYounger?: number;
  keepAll?: boolean;
  storeLimit?: number;
}

export async function retention(options: RetentionOptions): Promise<void> {
  using session = await Session.open(options);
  const { keepLast, keepYounger, keepAll, storeLimit } = options;
  const sets = keepLast !== undefined || keepYounger !== undefined || keepAll === true;
  const limited = storeLimit === undefined ? {} : { limit: storeLimit || null };
  const store = await session.call("store/limit", limited);
  // Who only sets the limit of the store need not be in a workspace.
  if (storeLimit !== undefined && !sets) return told(options, undefined, store);
  const { id, name } = await session.workspace();
  const change = {
    ...(sets && { keepLast: keepLast ?? null, keepYoungerMs: keepYounger ?? null }),
  };
  const rule = await session.call("workspace/retention", { workspace: id, ...change });
  told(options, { name, rule }, store);
}

function told(
  options: GlobalOptions,
  workspace: { name: string; rule: RetentionRule } | undefined,
  store: StoreQuota,
): void {
  if (options.json) {
    return printJson({ ...(workspace && { workspace: workspace.name, ...workspace.rule }), store });
  }
  if (workspace) line(`workspace  ${workspace.name} keeps ${inWords(workspace.rule)}`);
  line(`store      ${quotaInWords(store)}`);
}

function inWords({ keepLast, keepYoungerMs }: RetentionRule): string {
  const parts = [
    keepLast === undefined
      ? undefined
      : `the last ${keepLast} automatic ones and the last ${keepLast} of the others`,
    keepYoungerMs === undefined ? undefined : `those younger than ${ageInWords(keepYoungerMs)}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0
    ? "all its snapshots"
    : `snapshots with a name, the newest, ${parts.join(", ")}`;
}

function ageInWords(ms: number): string {
  const days = ms / 86_400_000;
  return days >= 2 && Number.isInteger(days) ? `${days} days` : duration(ms);
}

export function quotaInWords({ bytes, limit, exceeded }: StoreQuota): string {
  if (limit === undefined) return `${size(bytes)}, without a limit`;
  const over = exceeded === undefined ? "" : `: the limit is not kept, ${exceeded}`;
  return `${size(bytes)} of ${size(limit)}${over}`;
}

export async function gc(options: GlobalOptions & { dryRun?: boolean }): Promise<void> {
  using session = await Session.open(options);
  const result = await session.call("store/gc", { ...(options.dryRun && { dryRun: true }) });
  if (options.json) return printJson(result);
  const [go, free] = result.dryRun ? ["would go", "would be freed"] : ["gone", "freed"];
  for (const { name, removed } of result.workspaces) {
    for (const each of removed) line(`${name}: ${described(each)} ${go}`);
  }
  line(`${size(result.bytesFreed)} ${free}, ${size(result.bytesKept)} stay`);
  if (result.quota.exceeded !== undefined) line(`store: ${quotaInWords(result.quota)}`);
}

function described({ sequence, id, createdAt, name, message }: SnapshotInfo): string {
  const about = name ?? message;
  return `#${sequence} ${shortId(id)} of ${time(createdAt)}${about === undefined ? "" : ` (${about})`}`;
}
