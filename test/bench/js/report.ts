// The results of scripts/bench js as a table for people and as JSON beside it.

import { writeFileSync } from "node:fs";
import { machine } from "../report.ts";
import { median, show } from "../statistics.ts";
import type { Form } from "./steps.ts";
import { CONTENT } from "./steps.ts";
import { SURFACES } from "./surfaces.ts";

/** form -> step -> contender -> microseconds a call, one value for each slice. */
export type JsResults = Record<Form, Record<string, Record<string, number[]>>>;

export interface JsCircumstances {
  files: number;
  /** Files of the contenders that go through the kernel. */
  throughKernel: number;
  quick: boolean;
}

/** What issue 4 asks for, in microseconds. */
const BOUNDS: [Form, string, number][] = [
  ["sync", "stat", 5],
  ["promise", "readFile", 25],
];

function table(steps: JsResults[Form]): string[] {
  const names = Object.keys(SURFACES);
  const rows = [
    ["µs a call", ...names],
    ["---", ...names.map(() => "---:")],
  ];
  for (const [step, times] of Object.entries(steps)) {
    const shown = names.map((name) => times[name]).map((all) => (all ? show(median(all)) : "-"));
    rows.push([step, ...shown]);
  }
  return rows.map((cells) => `| ${cells.join(" | ")} |`);
}

function bounds(results: JsResults): string[] {
  return BOUNDS.map(([form, step, bound]) => {
    const [free, mounted] = ["ws.fs", "ws.fs, mounted"].map((name) => {
      return show(median(results[form][step]![name]!));
    });
    return `- ${form} \`${step}\`: ${free} µs (asked for: at most ${bound}); mounted ${mounted} µs`;
  });
}

export function writeJs(results: JsResults, circumstances: JsCircumstances, file: string): void {
  const at = machine();
  const { files, throughKernel, quick } = circumstances;
  const text = [
    "# Benchmarks of the JavaScript side",
    "",
    "Written by `scripts/bench js`; not edited by hand. The file API of a workspace in the calling",
    "process beside file systems written in JavaScript, and beside node:fs through the kernel.",
    "Medians of the slices, in microseconds a call; smaller is better.",
    "",
    `${files} files of ${CONTENT.length} bytes, 1000 to a directory, for each form (node:fs:`,
    `${throughKernel})${quick ? " (--quick: few files, for a look only)" : ""}; each contender is a`,
    `process of its own. Commit ${at["commit"]}, Node ${process.version}, Linux ${at["kernel"]},`,
    `${at["cores"]} cores (${at["cpu"]}), ${at["memoryGiB"]} GiB.`,
    "",
    ...bounds(results),
    "",
    "## Sync calls",
    "",
    ...table(results.sync),
    "",
    "## Promises, one after the other where no number is given",
    "",
    ...table(results.promise),
    "",
    "Promises of node:fs settle with work done on another thread: most of their time is the way there",
    "and back. Those of a workspace do small calls on the JavaScript thread, as the JavaScript file",
    "systems do, but one in 32 on the other thread, so that events get their turn; there they do all",
    "that is large, waits for the store, or changes a mounted workspace. @secure-exec/core has no sync",
    "form.",
    "",
  ];
  writeFileSync(file, text.join("\n"));
  const json = { machine: { ...at, node: process.version }, circumstances, results };
  writeFileSync(file.replace(/\.md$/, ".json"), `${JSON.stringify(json, null, 2)}\n`);
}
