// What is said of failures at the end of a log: every failed test is named, and briefly.
import { expect, test } from "vitest";
import {
  cargoFailures,
  checkFailures,
  fuzzFailures,
  told,
  toldFailures,
  unnamed,
  vitestFailures,
  within,
} from "./failures.ts";

const VITEST = `
 ❯ |suites| test/integration/cli.test.ts (2 tests | 1 failed) 12ms
   ❯ the command line (2)
     × is fast 12ms

⎯⎯⎯⎯⎯⎯⎯ Failed Suites 1 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  |unit| packages/vfs/src/vfs.test.ts [ packages/vfs/src/vfs.test.ts ]
Error: Transform failed

  File: vfs.test.ts
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/4]⎯

⎯⎯⎯⎯⎯⎯⎯ Failed Tests 2 ⎯⎯⎯⎯⎯⎯⎯

\u001b[41m FAIL \u001b[49m \u001b[43m suites \u001b[49m test/cli.test.ts > commands > is fast
 FAIL  |suites| test/integration/cli.test.ts > the command line as user > is fast
AssertionError: expected 170 to be less than 150
 ❯ test/integration/cli.test.ts:180:18
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[2/4]⎯

⎯⎯⎯⎯⎯⎯ Unhandled Errors ⎯⎯⎯⎯⎯⎯

Vitest caught 1 unhandled error during the test run.

⎯⎯⎯⎯⎯⎯ Unhandled Rejection ⎯⎯⎯⎯⎯
Error: nobody waits
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯

 Test Files  2 failed | 3 passed (5)
      Tests  2 failed | 30 passed (32)
`;

const named = (name: string, ...lines: string[]) => ({ name, lines });

test("vitest's failures: files, tests that failed alike, and what nobody caught", () => {
  const said = [
    "AssertionError: expected 170 to be less than 150",
    " ❯ test/integration/cli.test.ts:180:18",
  ];
  expect(vitestFailures(VITEST)).toEqual([
    named(
      "packages/vfs/src/vfs.test.ts [ packages/vfs/src/vfs.test.ts ]",
      "Error: Transform failed",
      "  File: vfs.test.ts",
    ),
    named("test/cli.test.ts > commands > is fast", ...said),
    named("test/integration/cli.test.ts > the command line as user > is fast", ...said),
    named("Unhandled Rejection", "Error: nobody waits"),
  ]);
});

test("a run of vitest that was stopped names what had failed until then", () => {
  const [begun = ""] = VITEST.split("⎯");
  expect(vitestFailures(begun)).toEqual([named("test/integration/cli.test.ts > is fast")]);
  expect(vitestFailures(" ✓ |unit| a.test.ts (3 tests) 5ms\n")).toEqual([]);
});

test("cargo's failures, also of a test whose process died", () => {
  const output = `running 3 tests
test a::holds ... ok
test a::breaks ... FAILED
test b::dies ... FAILED

failures:

---- a::breaks stdout ----

thread 'a::breaks' panicked at vfs/src/a.rs:7:5:
assertion failed: 1 > 2


failures:
    a::breaks

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out
`;
  const [first, second, ...more] = cargoFailures(output);
  const said = ["thread 'a::breaks' panicked at vfs/src/a.rs:7:5:", "assertion failed: 1 > 2"];
  expect(first).toEqual(named("a::breaks", ...said));
  expect([second, more]).toEqual([named("b::dies"), []]);
});

test("parts of scripts/check, and what scripts/fuzz has found", () => {
  const output =
    "check: types      ok        3 s\na.ts:1: wrong\ncheck: lint       FAILED    1 s\n";
  expect(checkFailures(output)).toEqual([named("lint", "a.ts:1: wrong")]);
  const found = "fuzz: tar took 90 MiB of memory in round 7 of seed 1";
  expect(fuzzFailures(`fuzz: page 6528 inputs, 993 taken\n${found}\n`)).toEqual([named(found)]);
});

test("what is printed is short, says where, and can be read again", () => {
  const diff = Array.from({ length: 40 }, (_, n) => `+ ${n}`);
  const long = named("long", "AssertionError", ...diff, " ❯ a.test.ts:3:5");
  const all = within("over classic", [long, named("dead"), named("short", "one", "two")]);
  const lines = told(all);
  expect(lines).toHaveLength(1 + 15 + 1 + 1 + 2);
  expect(lines.slice(14)).toEqual([
    "    + 12",
    "     ❯ a.test.ts:3:5",
    "failed: over classic: dead",
    "failed: over classic: short",
    "    one",
    "    two",
  ]);
  const again = toldFailures(`before\n    not of it\n${lines.join("\n")}\nsuites: 1 passed\n`);
  expect(told(again)).toEqual(lines);
});

test("of many failures all are named", () => {
  const many = Array.from({ length: 100 }, (_, n) => named(`test ${n}`, "one", "two"));
  const lines = told(many);
  expect(lines.filter((line) => line.startsWith("failed: "))).toHaveLength(100);
  expect(lines).toHaveLength(100 + 12 * 2);
});

test("a failure without a test has the end of what was printed", () => {
  const output = Array.from({ length: 50 }, (_, n) => `line ${n}\n\n`).join("");
  const { name, lines } = unnamed("exit code 1", output);
  expect([name, lines.length, lines.at(-1)]).toEqual(["exit code 1", 15, "line 49"]);
});
