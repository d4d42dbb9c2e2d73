// Tests that failed and then passed. There is a second attempt, so that a machine that stumbles
// once does not condemn a change, and a line for each at the end of the log: each is a fault of a
// test or of what it tests. vitest makes its attempt itself, cargo's tests are repeated by run.ts.
import type { Reporter, TestCase } from "vitest/node";
import { stripVTControlCharacters } from "node:util";
import { cargoFailures } from "./failures.ts";

const MARK = "unsteady: ";

/** A reporter for vitest. */
export default class Unsteady implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const [error] = test.result().errors ?? [];
    const [why = ""] = stripVTControlCharacters(error?.message ?? "").split("\n");
    console.log(`${MARK}${test.module.relativeModuleId} > ${test.fullName}: ${why}`);
  }
}

/** What the reporter has said in the output of a runner. */
export function unsteady(output: string): string[] {
  const lines = stripVTControlCharacters(output).split("\n");
  return lines.filter((line) => line.startsWith(MARK)).map((line) => line.slice(MARK.length));
}

/** The tests of cargo that are worth a second attempt: none when a test's process died as well. */
export function worthRepeating(output: string): string[] {
  const count = (line: RegExp): number => [...output.matchAll(line)].length;
  const targets = count(/^error: test failed, to rerun pass /gm);
  if (targets !== count(/^test result: FAILED\. /gm)) return [];
  return cargoFailures(output).map(({ name }) => name);
}
