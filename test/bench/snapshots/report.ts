// The results of scripts/bench snapshots as a section of docs/BENCHMARKS.md, in place of the one
// that is there or at its end.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { machine } from "../report.ts";
import { median, show } from "../statistics.ts";
import { type Figure, judge } from "./figure.ts";
import type { Timed } from "./others.ts";
import { BEGIN, END, split } from "./section.ts";
import { bytes, files, type Workload } from "./workload.ts";

export interface SnapshotResults {
  load: Workload;
  rounds: number;
  /** Of the machine, before anything began. */
  loadAverage: number;
  figures: Figure[];
  others: Timed[];
}

function row(cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** As asked for of the median unless said. */
function asked({ limit, judged }: Figure): string {
  if (limit === undefined) return "-";
  return judged ? `${show(limit)}, always` : show(limit);
}

function ours(figures: Figure[]): string[] {
  const shown = figures.map((figure) => {
    const { step, unit, values } = figure;
    const { holds } = judge(figure);
    const [least, most] = [Math.min(...values), Math.max(...values)].map(show);
    const verdict = holds === undefined ? "-" : holds ? "yes" : "no";
    return row([step, unit, show(median(values)), least!, most!, asked(figure), verdict]);
  });
  const head = row(["workspace", "unit", "median", "least", "most", "asked for", "holds"]);
  return [head, row(["---", "---", "---:", "---:", "---:", "---:", "---"]), ...shown];
}

function theirs(others: Timed[]): string[] {
  const cell = (values: number[] | undefined): string =>
    values === undefined ? "-" : show(median(values));
  const shown = others.map(({ name, first, next, back, skipped }) =>
    skipped === undefined
      ? row([name, cell(first === undefined ? undefined : [first]), cell(next), cell(back)])
      : row([`${name}: left out, ${skipped}`, "-", "-", "-"]),
  );
  const head = row(["others, ms", "first state", "10 files changed", "back to the first"]);
  return [head, row(["---", "---:", "---:", "---:"]), ...shown];
}

export function section(results: SnapshotResults): string {
  const { load, rounds, loadAverage, figures, others } = results;
  const at = machine();
  const busy =
    loadAverage > 0.5 ? `busy with other things (load ${loadAverage.toFixed(1)})` : "idle";
  const about =
    `${files(load).toLocaleString("en")} files, ${Math.round(bytes(load) / 1e6)} MB that do not ` +
    `compress; rounds: ${rounds}. Commit ${at["commit"]}, ${at["cores"]} cores; the machine was ${busy}.`;
  const parts = [BEGIN, "", "## Snapshots beside other means", "", about, ""];
  return [...parts, ...ours(figures), "", ...theirs(others), "", END].join("\n");
}

export function writeSection(results: SnapshotResults, file: string): void {
  const old = existsSync(file) ? readFileSync(file, "utf8") : "# Benchmarks\n";
  writeFileSync(file, `${split(old)[0].trimEnd()}\n\n${section(results)}\n`);
}
