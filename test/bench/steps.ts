// The measured steps, in order: each is a shell command in the directory of a contender, timed from
// outside, or a run of the small-file and I/O programs, which time themselves.

import { inDirectory, must, run } from "../harness/run.ts";
import type { Prepared } from "./prepare.ts";

export interface Sample {
  step: string;
  unit: "s" | "µs" | "MB/s" | "kIOPS" | "ms";
  value: number;
}

export interface StepContext {
  prepared: Prepared;
  quick: boolean;
  fsops: string;
}

export interface Step {
  name: string;
  run(directory: string, context: StepContext): Promise<Sample[]>;
}

const NPM = "npm install --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error";

/** A shell command whose time is the result. */
function timed(name: string, script: (context: StepContext) => string): Step {
  return {
    name,
    run: async (directory, context) => {
      const command = inDirectory(directory, ["sh", "-euc", script(context)]);
      const { durationMs } = await must(command, { timeoutMs: 600_000 });
      return [{ step: name, unit: "s", value: durationMs / 1000 }];
    },
  };
}

/** A part of the tester that prints a JSON object of step -> value. */
function measured(name: string, args: (context: StepContext) => string[]): Step {
  return {
    name,
    run: async (directory, context) => {
      const command = [context.fsops, name, directory, ...args(context)];
      const { stdout } = await must(command, { timeoutMs: 600_000 });
      return JSON.parse(stdout) as Sample[];
    },
  };
}

const hasRipgrep = (await run(["rg", "--version"])).code === 0;
const search = hasRipgrep ? "rg -c 'function useState' ." : "grep -rc 'function useState' .";

export const STEPS: Step[] = [
  timed("git clone", ({ prepared }) => `git clone -q ${prepared.repository} clone`),
  timed("git status, first", () => "cd clone && git status >/dev/null"),
  timed("git status, again", () => "cd clone && git status >/dev/null"),
  timed("search, first", () => `cd clone && ${search} | wc -l >/dev/null`),
  timed("search, warm", () => `cd clone && ${search} | wc -l >/dev/null`),
  timed("find", () => "cd clone && find . -type f | wc -l >/dev/null"),
  timed("cp -r", () => "cp -r clone/node_modules copy"),
  timed("tar to tar", () => "mkdir tar && tar cf - -C clone node_modules | tar xf - -C tar"),
  timed("npm install", ({ prepared }) => {
    return `mkdir npm && cp ${prepared.project}/package*.json npm/ && cd npm && ${NPM} >/dev/null`;
  }),
  timed("rm -rf", () => "rm -rf clone copy tar npm"),
  measured("small", ({ quick }) => ["--files", quick ? "2000" : "20000"]),
  measured("io", ({ quick }) => ["--mib", quick ? "64" : "1024"]),
];
