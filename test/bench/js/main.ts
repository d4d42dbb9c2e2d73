// scripts/bench js: the file API of a workspace beside memfs, @secure-exec/core and node:fs. Each
// contender is a process of its own; slices of the files go round among them, so that a machine
// that changes its mind changes it for all.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { given } from "../../harness/arguments.ts";
import { CHECKOUT } from "../../harness/base.ts";
import { USAGE } from "../usage.ts";
import type { Answer, Order } from "./child.ts";
import { type JsResults, writeJs } from "./report.ts";
import { FILES_A_DIRECTORY, FORMS, STEPS } from "./steps.ts";
import { SURFACES } from "./surfaces.ts";

const options = given({
  usage: USAGE,
  options: {
    quick: { type: "boolean", default: false },
    out: { type: "string", default: join(CHECKOUT, "docs/BENCHMARKS-JS.md") },
  },
});

const slices = options.quick ? 2 : 10;
const directoriesASlice = options.quick ? 1 : 10;
/** What goes through the kernel takes some ten times as long; part of the files says as much. */
const kernelSlices = Math.ceil(slices / 5);
const slicesOf = (name: string): number => (name.startsWith("node:fs") ? kernelSlices : slices);

/** One contender's process. */
interface Contender {
  name: string;
  child: ChildProcess;
  ended: Promise<Answer>;
}

function start(name: string): Contender {
  const child = fork(join(import.meta.dirname, "child.ts"), [name]);
  const ended = once(child, "exit").then(([code]) => ({ failure: `ended with ${String(code)}` }));
  return { name, child, ended };
}

/** Waits for what a contender answers; its end is an answer too. */
async function answer({ name, child, ended }: Contender): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  child.once("message", (of) => resolve(of as Answer));
  const first = await Promise.race([promise, ended]);
  if (first.failure !== undefined) throw new Error(`${name}: ${first.failure}`);
  return first;
}

async function measure(contenders: Contender[], results: JsResults): Promise<void> {
  for (const form of FORMS) {
    for (const step of Object.keys(STEPS)) {
      for (let i = 0; i < slices; i++) {
        const all = contenders.filter(({ name }) => i < slicesOf(name));
        const slice = { form, from: i * directoriesASlice, to: (i + 1) * directoriesASlice };
        // Each contender is first in turn.
        for (const [n] of all.entries()) {
          const contender = all[(n + i) % all.length]!;
          contender.child.send({ step, slice } satisfies Order);
          const { time } = await answer(contender);
          if (time !== undefined) ((results[form][step] ??= {})[contender.name] ??= []).push(time);
        }
      }
      console.error(`bench: ${form} ${step}`);
    }
  }
}

const contenders: Contender[] = [];
const results: JsResults = { sync: {}, promise: {} };
try {
  for (const name of Object.keys(SURFACES)) {
    const contender = start(name);
    contenders.push(contender);
    await answer(contender);
  }
  await measure(contenders, results);
} finally {
  for (const { child, ended } of contenders) {
    if (child.connected) child.disconnect();
    await ended;
  }
}
const filesOf = (slices: number): number => slices * directoriesASlice * FILES_A_DIRECTORY;
const files = { files: filesOf(slices), throughKernel: filesOf(kernelSlices) };
writeJs(results, { ...files, quick: options.quick }, options.out);
console.log(`written: ${options.out}`);
