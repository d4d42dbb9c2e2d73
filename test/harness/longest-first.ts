// The order of the suites: those that take longest come first, so that none is left at the end with
// an idle core beside it.

import { BaseSequencer, type TestSpecification } from "vitest/node";

const LONG = [
  "crash",
  "property",
  "daemon",
  "turns",
  "store",
  "restore-fails",
  "forks",
  "bench",
].concat(["history", "transfer", "sdk", "durable", "exec"]);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return at === -1 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
