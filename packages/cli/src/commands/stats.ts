// devdev stats: what a workspace's mount has served, once or in each interval.

import { type RequestStats, statsBetween, type WorkspaceStats } from "@devdev/protocol";
import { clock } from "../interrupted.js";
import { duration, line, printJson, size, span, table } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

const WATCH_SECONDS = 2;
/** The longest that a timer takes. */
const LONGEST_MS = 2 ** 31 - 1;
/** To the upper left corner, and nothing below it. */
const CLEAR = "\x1b[H\x1b[2J";

interface StatsCommand extends GlobalOptions {
  watch?: number | true;
  reset?: boolean;
}

export async function stats(options: StatsCommand): Promise<void> {
  using session = await Session.open(options);
  const { id, name } = await session.workspace();
  const read = (reset: boolean): Promise<WorkspaceStats> =>
    session.call("workspace/stats", { workspace: id, ...(reset && { reset }) });
  let before = await read(options.reset ?? false);
  if (options.watch === undefined) return options.json ? printJson(before) : show(name, before);
  if (!options.json) redraw(name, before);
  const interval = options.watch === true ? WATCH_SECONDS : options.watch;
  for (;;) {
    await session.pause(Math.min(interval * 1000, LONGEST_MS));
    const after = await read(false);
    const between = statsBetween(before, after);
    if (options.json) line(JSON.stringify(between));
    else redraw(name, between);
    before = after;
  }
}

function redraw(name: string, figures: WorkspaceStats): void {
  if (process.stdout.isTTY) process.stdout.write(CLEAR);
  show(name, figures);
  if (!process.stdout.isTTY) line("");
}

function show(name: string, figures: WorkspaceStats): void {
  const { requests, since, at, parked, notifications, fetched, checkpoints } = figures;
  const [count, totalNs] = [sum(requests, "count"), sum(requests, "totalNs")];
  const seconds = Math.max(at - since, 1) / 1000;
  line(
    `${name}: ${count} requests in ${duration(at - since)} since ${clock(since)}, ` +
      `${perSecond(count / seconds)} a second, ${span(totalNs)} of work`,
  );
  const head = ["REQUEST", "COUNT", "TOTAL", "MEDIAN", "P90", "P99", "MAX", "IN", "OUT", "ERRORS"];
  if (requests.length > 0) table(head, requests.map(row));
  line(
    `parked ${parked.now} now, ${parked.total} in all; ` +
      `notifications ${notifications.inodes} for inodes, ${notifications.names} for names`,
  );
  line(
    `from the store ${fetched.blocks} blocks, ${size(fetched.bytes)}; ` +
      `checkpoints ${checkpoints.count}, ${duration(checkpoints.totalMs)}`,
  );
}

function row(request: RequestStats): string[] {
  const { name, count, totalNs, medianNs, p90Ns, p99Ns, maxNs, bytesIn, bytesOut } = request;
  const errors = Object.entries(request.errors).map(([code, n]) => `${code} ${n}`);
  return [
    name,
    String(count),
    ...[totalNs, medianNs, p90Ns, p99Ns, maxNs].map(span),
    ...[bytesIn, bytesOut].map((bytes) => (bytes > 0 ? size(bytes) : "-")),
    errors.join(", ") || "-",
  ];
}

function sum(requests: readonly RequestStats[], field: "count" | "totalNs"): number {
  return requests.reduce((total, request) => total + request[field], 0);
}

function perSecond(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}
