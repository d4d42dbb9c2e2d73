// The results as tables for people (docs/BENCHMARKS.md) and as JSON beside it: one table for each
// transport and user, so that the columns to be compared stand together.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import type { Contender } from "./contenders.ts";
import { limits, limitsText } from "./limits.ts";
import { split } from "./snapshots/section.ts";
import { counted, median, ratio, type Results, show } from "./statistics.ts";
import type { Step, StepContext } from "./steps.ts";

export interface Circumstances {
  rounds: number;
  contenders: Contender[];
  context: StepContext;
  steps: Step[];
}

interface Group {
  title: string;
  columns: Contender[];
}

/** What has a transport, grouped, each group with what has none. */
function groups(contenders: Contender[]): Group[] {
  const plain = contenders.filter(({ transport }) => transport === undefined);
  const keys = new Map<string, Contender[]>();
  for (const one of contenders) {
    if (one.transport === undefined) continue;
    const { transport, who } = one;
    const title = `FUSE ${transport === "classic" ? "over read and write" : "over io_uring"}, ${who}`;
    keys.set(title, [...(keys.get(title) ?? []), one]);
  }
  if (keys.size === 0) return [{ title: "Workloads", columns: plain }];
  return [...keys].map(([title, own]) => {
    const beside = plain.filter(
      ({ kind, who }) =>
        who === own[0]!.who || !plain.some((p) => p.kind === kind && p.who === own[0]!.who),
    );
    const distinct = beside.filter((one, i) => beside.findIndex((b) => b.kind === one.kind) === i);
    return { title, columns: [...distinct, ...own] };
  });
}

/** The pairs of kinds whose ratio is a column. */
function ratios(columns: Contender[]): [Contender, Contender][] {
  const of = (kind: string): Contender | undefined => columns.find((one) => one.kind === kind);
  const [base, prototype, bare, usual] = ["tmpfs", "prototype", "bare", "default"].map(of);
  const out: [Contender, Contender][] = [];
  if (bare && prototype) out.push([bare, prototype]);
  if (bare && usual) out.push([usual, bare]);
  const rest = columns.filter((one) => one !== base && one !== prototype);
  if (base) out.push(...rest.map((one) => [one, base] as [Contender, Contender]));
  return out;
}

function table(results: Results, { title, columns }: Group): string[] {
  const pairs = ratios(columns);
  const values = (one: Contender, step: string): number[] => {
    const measured = results.get(one.name)?.get(step);
    return measured ? counted(measured) : [];
  };
  const names = columns.map(({ kind }) => kind);
  const head = ["step", "unit", ...names, ...pairs.map(([a, b]) => `${a.kind} / ${b.kind}`)];
  const rows = [head, head.map((_, i) => (i < 2 ? "---" : "---:"))];
  const known = new Map(columns.flatMap((one) => [...(results.get(one.name) ?? [])]));
  for (const [step, { unit }] of known) {
    const cells = columns.map((one) => {
      const all = values(one, step);
      return all.length === 0 ? "-" : show(median(all));
    });
    const shown = pairs.map(([a, b]) => {
      const [of, to] = [values(a, step), values(b, step)];
      if (of.length === 0 || to.length === 0) return "-";
      return `${ratio(unit, median(of), median(to)).toFixed(2)} x`;
    });
    rows.push([step, unit, ...cells, ...shown]);
  }
  return ["", `## ${title}`, "", ...rows.map((cells) => `| ${cells.join(" | ")} |`)];
}

function single(results: Results): string[] {
  const steps = results.get("devdev");
  if (steps === undefined) return [];
  const rows = [...steps].map(([step, all]) => `| ${step} | ${show(median(counted(all)))} |`);
  return ["", "## Snapshots and commands", "", "| step | ms |", "| --- | ---: |", ...rows];
}

function workloads({ steps, context }: Circumstances): string[] {
  const rows = steps.map((step) => `| ${step.name} | ${step.about(context)} |`);
  const named = ["| step | workload |", "| --- | --- |", ...rows];
  return ["", "## What the steps do", "", ...named];
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

function introduction({ rounds, contenders, context }: Circumstances): string[] {
  const at = machine();
  const size = context.quick ? " (--quick: small sizes, for a look only)" : "";
  return [
    "# Benchmarks",
    "",
    "Written by `scripts/bench`; not edited by hand. Medians of the rounds (the JSON beside this has every",
    "value, least and most); smaller is better but for MB/s and kIOPS. A ratio says how much longer the first",
    "takes than the second for the step of its row, of rates how much less it does. Left out are values during",
    "which the machine's host gave more than 2 % of the CPUs' time to others, while three are left (\"stolen\").",
    "",
    `Rounds: ${rounds}${size}, each with a fresh file system for each column, one mounted at a time, those of`,
    "one transport and user one after the other, each after another one in each round; memory was touched",
    "before. At the end of a column's steps its daemon stops and the disk is synced; between steps nothing",
    "waits, so that checkpoints of one fall into the next.",
    "",
    `Commit ${at["commit"]}, Linux ${at["kernel"]}, ${at["cores"]} cores (${at["cpu"]}), ${at["memoryGiB"]} GiB.`,
    "",
    "| column | what |",
    "| --- | --- |",
    ...contenders.map(({ name, about }) => `| ${name} | ${about} |`),
  ];
}

export function write(results: Results, circumstances: Circumstances, file: string): void {
  const steps = Object.fromEntries([...results].map(([name, all]) => [name, spread(all)]));
  const contenders = circumstances.contenders.map(({ name, kind, transport, who, about }) => {
    return { name, kind, transport, who, about };
  });
  const { rounds, context } = circumstances;
  const { quick, prepared } = context;
  const facts = { rounds, quick, files: prepared.files, bytes: prepared.bytes };
  const json = { machine: machine(), circumstances: facts, contenders, results: steps };
  writeFileSync(file.replace(/\.md$/, ".json"), `${JSON.stringify(json, null, 2)}\n`);
  const checked = limits(json);
  const text = [
    ...introduction(circumstances),
    ...groups(circumstances.contenders).flatMap((group) => table(results, group)),
    ...single(results),
    ...(checked.length === 0 ? [] : ["", "## Limits", "", ...limitsText(checked)]),
    ...workloads(circumstances),
    "",
  ];
  // What scripts/bench snapshots wrote there stays.
  const [, snapshots] = split(existsSync(file) ? readFileSync(file, "utf8") : "");
  if (snapshots !== "") text.push(snapshots, "");
  writeFileSync(file, text.join("\n"));
}

type Steps = Results extends Map<string, infer S> ? S : never;

function spread(steps: Steps): Record<string, object> {
  const entries = [...steps].map(([step, measured]) => {
    const { unit, values, stolen } = measured;
    const [min, max] = [Math.min(...values), Math.max(...values)];
    return [step, { unit, median: median(counted(measured)), min, max, values, stolen }];
  });
  return Object.fromEntries(entries);
}
