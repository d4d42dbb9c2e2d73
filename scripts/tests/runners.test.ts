// The closing count of scripts/test is only as good as what is read from each runner.
import { expect, test } from "vitest";
import { countCargo, countChecks, countFuzz, countSuites, countVitest } from "./runners.ts";

test("cargo's counts are summed over its binaries", () => {
  const output = [
    "test a ... ok",
    "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s",
    "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished",
  ].join("\n");
  expect(countCargo(output)).toEqual({ passed: 5, failed: 4, skipped: 1 });
});

test("a build that failed has no count", () => {
  expect(countCargo("error: could not compile `devdev-vfs`")).toBeUndefined();
});

test("vitest's last lines are counted", () => {
  const output = [
    " Test Files  1 failed | 3 passed (4)",
    "      Tests  2 failed | 30 passed | 1 skipped (33)",
  ].join("\n");
  expect(countVitest(output)).toEqual({ passed: 30, failed: 2, skipped: 1 });
  expect(countVitest("      Tests  7 passed (7)")).toEqual({ passed: 7, failed: 0, skipped: 0 });
  expect(countVitest("Error: no such file")).toBeUndefined();
});

test("the last line of scripts/suites is counted", () => {
  const last = "suites: 12 passed, 1 failed, 2 skipped";
  expect(countSuites(`over classic as root: ...\n${last}\n`)).toEqual({
    passed: 12,
    failed: 1,
    skipped: 2,
  });
  expect(countSuites("suites: no transport x")).toBeUndefined();
});

test("fuzzing counts its targets, or the one that failed", () => {
  const output = "fuzz: 20 s, seed 1\nfuzz: page     6528 inputs, 993 taken\n";
  expect(countFuzz(output)).toEqual({ passed: 1, failed: 0, skipped: 0 });
  const found = "fuzz: tar took 90 MiB of memory in round 7 of seed 1\n";
  expect(countFuzz(found)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countFuzz("fuzz: 20 s, seed 1\n")).toBeUndefined();
});

test("a gate counts the parts that failed", () => {
  const output = "check: rustfmt    ok        1 s\ncheck: tidy       FAILED    0 s\n";
  expect(countChecks(output)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countChecks("check: node_modules is missing")).toBeUndefined();
});
