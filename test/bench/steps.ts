// The measured steps, in order: each is a shell command in the directory of a contender, timed from
// outside, or a run of the small-file and I/O programs, which time themselves. The first ones are
// those of a day with a project: clone, look, search, copy, pack, install, remove.

import { run } from "../harness/run.ts";
import type { Prepared } from "./prepare.ts";
import { median } from "./statistics.ts";
import type { Worker } from "./workers.ts";

export interface Sample {
  step: string;
  unit: "s" | "µs" | "MB/s" | "kIOPS" | "ms";
  value: number;
  /** Which part of the CPUs' time the machine's host gave to others meanwhile. */
  stolen?: number;
}

export interface StepContext {
  prepared: Prepared;
  quick: boolean;
  fsops: string;
}

export interface Step {
  name: string;
  /** The workload in words, for the report. */
  about(context: StepContext): string;
  run(worker: Worker, directory: string, context: StepContext): Promise<Sample[]>;
}

const NPM = "npm install --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error";
const hasRipgrep = (await run(["rg", "--version"])).code === 0;
const search = hasRipgrep ? "rg -c 'function useState' ." : "grep -rc 'function useState' .";

interface Timing {
  /** Not timed. */
  before?: string;
  after?: string;
  /** The median of several runs: of steps that are short. */
  times?: number;
}

type Script = (context: StepContext) => string;

/** A shell command whose time is the result. */
function timed(name: string, about: Script, script: Script, timing: Timing = {}): Step {
  const { before, after, times = 1 } = timing;
  return {
    name,
    about,
    run: async (worker, directory, context) => {
      const text = script(context);
      if (text === "") return [];
      if (before !== undefined) await worker.sh(directory, fill(before, context));
      const values: number[] = [];
      for (let i = 0; i < times; i++) {
        values.push((await worker.sh(directory, text)).durationMs / 1000);
      }
      if (after !== undefined) await worker.sh(directory, after);
      return [{ step: name, unit: "s", value: median(values) }];
    },
  };
}

function fill(script: string, { prepared }: StepContext): string {
  const { project, typescript, crate } = prepared;
  return script
    .replace("$PROJECT", project)
    .replace("$TYPESCRIPT", typescript)
    .replace("$CRATE", crate ?? "");
}

/** A part of the tester that prints a JSON object of step -> value. */
function measured(name: string, about: Script, args: (context: StepContext) => string[]): Step {
  return {
    name,
    about,
    run: async (worker, directory, context) => {
      const command = [context.fsops, name, directory, ...args(context)];
      return JSON.parse((await worker.run(directory, command)).stdout) as Sample[];
    },
  };
}

const tree = ({ prepared }: StepContext): string =>
  `${prepared.files.toLocaleString("en")} files, ${Math.round(prepared.bytes / 1e6)} MB`;

const projectSteps: Step[] = [
  timed(
    "git clone",
    (context) => `of a bare repository on the disk: ${tree(context)}`,
    ({ prepared }) => `git clone -q --no-hardlinks ${prepared.repository} clone`,
  ),
  timed(
    "git status, first",
    () => "in the clone; reads what changed within the second of the index",
    () => "cd clone && git status >/dev/null",
  ),
  timed(
    "git status, again",
    () => "the same when nothing is as young as the index any more, the median of 11",
    () => "cd clone && git status >/dev/null",
    { before: "sleep 1.1; cd clone && git status >/dev/null", times: 11 },
  ),
  timed(
    "search, first",
    () => `\`${search}\` in the clone: reads each file for the first time`,
    () => `cd clone && ${search} | wc -l >/dev/null`,
  ),
  timed(
    "search, warm",
    () => "the same, the median of 11",
    () => `cd clone && ${search} | wc -l >/dev/null`,
    { times: 11 },
  ),
  timed(
    "find",
    () => "`find . -type f` in the clone, the median of 11",
    () => "cd clone && find . -type f | wc -l >/dev/null",
    { times: 11 },
  ),
  timed(
    "cp -r",
    () => "of the clone's node_modules, nearly all of its files",
    () => "cp -r clone/node_modules copy",
  ),
  timed(
    "tar",
    () => "packs the same and extracts it beside, through a pipe between two tars",
    () => "mkdir tar && tar cf - -C clone node_modules | tar xf - -C tar",
  ),
  timed(
    "npm install",
    ({ quick }) => `${quick ? "a few" : "495"} packages from the lock file, all in npm's cache`,
    () => `cd npm && ${NPM} >/dev/null`,
    { before: "mkdir npm && cp $PROJECT/package*.json npm/" },
  ),
  timed(
    "rm -rf",
    () => "of the clone, both copies and what npm installed: four such trees",
    () => "rm -rf clone copy tar npm",
  ),
];

const buildSteps: Step[] = [
  timed(
    "tsc",
    () => "compiles rxjs 7.8.2 (251 source files) to 501 files; compiler and types lie there too",
    () =>
      "cd tsc && node node_modules/typescript/bin/tsc -p project/src/tsconfig.cjs.json --outDir out",
    { before: "cp -r $TYPESCRIPT tsc", after: "rm -rf tsc" },
  ),
  timed(
    "cargo build",
    () =>
      "builds the crate ignore 0.4.23 and its dependencies from vendored sources, debug profile",
    ({ prepared }) => (prepared.crate ? "cd crate && cargo build -q --offline --locked" : ""),
    { before: "cp -r $CRATE crate", after: "rm -rf crate" },
  ),
];

/** They take too long to be a look only. */
const long = (steps: Step[]): Step[] =>
  steps.map((step) => ({
    ...step,
    run: async (worker, directory, context) =>
      context.quick ? [] : step.run(worker, directory, context),
  }));

const loops: Step[] = [
  measured(
    "getattr",
    () => "one client asks for the attributes of one file past every cache (AT_STATX_FORCE_SYNC)",
    ({ quick }) => ["--calls", quick ? "5000" : "50000"],
  ),
  measured(
    "small",
    ({ quick }) => `one call each on ${quick ? "2,000" : "10,000"} files of 4 KiB, 100 a directory`,
    ({ quick }) => ["--files", quick ? "2000" : "10000"],
  ),
  measured(
    "io",
    ({ quick }) =>
      `one file of ${quick ? "64 MiB" : "1 GiB"}, 1 MiB a call; "cold": after its pages were ` +
      "dropped from the cache, five times over, the median; then 4 KiB at random places",
    ({ quick }) => ["--mib", quick ? "64" : "1024"],
  ),
];

export const STEPS: Step[] = [...projectSteps, ...long(buildSteps), ...loops];
