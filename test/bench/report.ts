// The results as a table for people (docs/BENCHMARKS.md) and as JSON beside it.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import type { Sample } from "./steps.ts";

/** contender -> step -> the samples of all rounds. */
export type Results = Map<string, Map<string, { unit: Sample["unit"]; values: number[] }>>;

export function record(results: Results, contender: string, samples: Sample[]): void {
  const steps = results.get(contender) ?? new Map();
  results.set(contender, steps);
  for (const { step, unit, value } of samples) {
    const known = steps.get(step) ?? { unit, values: [] };
    known.values.push(value);
    steps.set(step, known);
  }
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function show(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** How much longer than on tmpfs; of rates, how much less. */
function ratio(unit: Sample["unit"], value: number, of: number): string {
  const more = unit === "MB/s" || unit === "kIOPS" ? of / value : value / of;
  return `${more.toFixed(2)} x`;
}

function table(results: Results): string[] {
  const names = [...results.keys()].filter((name) => name !== "devdev");
  const others = names.filter((name) => name !== "tmpfs");
  const head = ["step", "unit", ...names, ...others.map((name) => `${name} / tmpfs`)];
  const rows = [head, head.map((_, i) => (i === 0 ? "---" : "---:"))];
  for (const [step, { unit, values }] of results.get("tmpfs") ?? []) {
    const of = median(values);
    const cells = names.map((name) => results.get(name)?.get(step)?.values ?? []);
    const shown = cells.map((all) => (all.length === 0 ? "-" : show(median(all))));
    const ratios = others.map((name) => {
      const all = results.get(name)?.get(step)?.values ?? [];
      return all.length === 0 ? "-" : ratio(unit, median(all), of);
    });
    rows.push([step, unit, ...shown, ...ratios]);
  }
  return rows.map((cells) => `| ${cells.join(" | ")} |`);
}

function single(results: Results): string[] {
  const rows = ["| step | ms |", "| --- | ---: |"];
  for (const [step, { values }] of results.get("devdev") ?? []) {
    rows.push(`| ${step} | ${show(median(values))} |`);
  }
  return rows;
}

export interface Circumstances {
  rounds: number;
  quick: boolean;
  files: number;
}

export function machine(): Record<string, string | number> {
  let commit = "unknown";
  try {
    commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    // Not run from a git checkout.
  }
  return {
    commit,
    kernel: release(),
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

export function write(results: Results, circumstances: Circumstances, file: string): void {
  const at = machine();
  const { rounds, quick, files } = circumstances;
  const size = quick ? " (--quick: small sizes, for a look only)" : "";
  const text = [
    "# Benchmarks",
    "",
    "Written by `scripts/bench`; not edited by hand. Medians; smaller is better but for MB/s and",
    "kIOPS. A ratio says how much longer than on tmpfs it takes.",
    "",
    `Rounds: ${rounds}${size}. A project of ${files} files; commit ${at["commit"]}, Linux`,
    `${at["kernel"]}, ${at["cores"]} cores (${at["cpu"]}), ${at["memoryGiB"]} GiB.`,
    "",
    ...table(results),
    "",
    "## Snapshots and commands",
    "",
    ...single(results),
    "",
  ];
  writeFileSync(file, text.join("\n"));
  const steps = Object.fromEntries(
    [...results].map(([name, all]) => [name, Object.fromEntries(all)]),
  );
  const json = { machine: at, circumstances, results: steps };
  writeFileSync(file.replace(/\.md$/, ".json"), `${JSON.stringify(json, null, 2)}\n`);
}
