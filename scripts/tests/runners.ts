// The test runners of the repository: how each is started and how its own count is read. Separate
// from the loop that runs them, so that a new suite is one entry here.
import { readFileSync, rmSync } from "node:fs";
import {
  cargoFailures,
  checkFailures,
  type Failure,
  fuzzFailures,
  toldFailures,
  vitestFailures,
} from "./failures.ts";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface Runner {
  name: string;
  command: string[];
  timeoutMs: number;
  /** A gate holds no tests: it counts only what failed. */
  gate?: boolean;
  /** Reads the count from what the runner printed or wrote; undefined when it wrote none. */
  count(output: string): Counts | undefined;
  /** Finds in its output what it says of the tests that failed. */
  failures(output: string): Failure[];
  /** The command for a second attempt of these tests; without it what fails has failed. */
  again?(names: string[]): string[];
}

const MINUTE = 60_000;

interface VitestOptions {
  timeoutMs: number;
  /** What is printed of it; default: the project's name. */
  name?: string;
  /** Suites at once. */
  workers?: number;
  args?: string[];
}

function vitest(project: string, options: VitestOptions): Runner {
  const { timeoutMs, name = project, workers = 1, args = [] } = options;
  const report = `node_modules/.cache/vitest-${name.replaceAll(" ", "-")}.json`;
  rmSync(report, { force: true });
  const reporters = [
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    "--reporter=./scripts/tests/unsteady.ts",
  ];
  return {
    name: `vitest ${name}`,
    command: [
      "env",
      `DEVDEV_TEST_WORKERS=${workers}`,
      "vitest",
      "run",
      "--project",
      project,
      "--retry=1",
    ].concat(reporters, args),
    timeoutMs,
    failures: vitestFailures,
    count: () => {
      const result = readJson(report);
      if (result === undefined) return undefined;
      // A file that does not load holds no test, but it is a failure.
      const broken = result.testResults.filter(
        ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
      );
      return {
        passed: result.numPassedTests,
        failed: result.numFailedTests + broken.length,
        skipped: result.numPendingTests + result.numTodoTests,
      };
    },
  };
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: unknown[] }[];
}

function readJson(path: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined; // not written: the runner died before its end
  }
}

/** Sums the `test result:` line that cargo prints for each test binary. */
export function countCargo(output: string): Counts | undefined {
  const lines = output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm);
  let total: Counts | undefined;
  for (const [, passed, failed, skipped] of lines) {
    total ??= { passed: 0, failed: 0, skipped: 0 };
    total.passed += Number(passed);
    total.failed += Number(failed);
    total.skipped += Number(skipped);
  }
  return total;
}

/** What vitest prints at the end; each file that does not load is a failure of its own. */
export function countVitest(output: string): Counts | undefined {
  const [, text] = /^ +Tests +(.*)$/m.exec(output) ?? [];
  if (text === undefined) return undefined;
  const count = (what: string): number => Number(new RegExp(`(\\d+) ${what}`).exec(text)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), skipped: count("skipped") };
}

/** scripts/check prints one line for each part; unit tests are a runner of their own here. */
export function countChecks(output: string): Counts | undefined {
  const parts = [...output.matchAll(/^check: \w+ +(ok|FAILED) /gm)];
  const failed = parts.filter(([, verdict]) => verdict === "FAILED").length;
  return parts.length === 0 ? undefined : { passed: 0, failed, skipped: 0 };
}

/** The last line of scripts/suites. */
export function countSuites(output: string): Counts | undefined {
  const found = /^suites: (\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output);
  if (found === null) return undefined;
  const [passed = 0, failed = 0, skipped = 0] = found.slice(1).map(Number);
  return { passed, failed, skipped };
}

/** scripts/fuzz prints one line for each target; it ends at the first finding. */
export function countFuzz(output: string): Counts | undefined {
  const passed = [...output.matchAll(/^fuzz: \w+ +\d+ inputs, [1-9]\d* taken$/gm)].length;
  const failed = [...output.matchAll(/^fuzz: \w+ .* in round \d+ of seed \d+$/gm)].length;
  return passed + failed === 0 ? undefined : { passed, failed, skipped: 0 };
}

/** Suites that measure, fill the memory, or switch the kernel's settings. */
const ALONE = [
  "crowded",
  "large",
  "limits",
  "memory",
  "mount",
  "stats",
  "toolchains",
  "watchdog",
].map((name) => `integration/${name}`);
const OVER_RINGS = ["visibility", "both-sides", "crowded", "library", "snapshots", "watchdog"];
const CHECKS = ["rustfmt", "format", "tidy", "types", "lint", "clippy", "generated"];

function cargo(name: string, what: string[], timeoutMs: number, ...env: string[]): Runner {
  const manifest = ["--manifest-path", "native/Cargo.toml"];
  const command = ["env", ...env, "cargo", "test", "--locked", ...manifest, ...what];
  return {
    name,
    command,
    timeoutMs,
    count: countCargo,
    failures: cargoFailures,
    again: (names) => [...command, "--", "--exact", ...names],
  };
}

export function runners(): Runner[] {
  const host = ["--package", "devdev-fuse", "--test", "host", "--no-fail-fast"];
  return [
    {
      name: "check",
      command: ["scripts/check", ...CHECKS],
      timeoutMs: 30 * MINUTE,
      gate: true,
      count: countChecks,
      failures: checkFailures,
    },
    cargo("cargo", ["--workspace", "--no-fail-fast"], 40 * MINUTE),
    cargo("io_uring", host, 30 * MINUTE, "DEVDEV_TRANSPORT=io_uring"),
    // The same inputs each time: scripts/fuzz alone takes new ones.
    {
      name: "fuzz",
      command: ["scripts/fuzz", "60", "1"],
      timeoutMs: 15 * MINUTE,
      count: countFuzz,
      failures: fuzzFailures,
    },
    vitest("unit", { timeoutMs: 20 * MINUTE }),
    vitest("suites", {
      timeoutMs: 100 * MINUTE,
      name: "suites in twos",
      workers: 2,
      args: ALONE.flatMap((path) => ["--exclude", `**/${path}.test.ts`]),
    }),
    vitest("suites", {
      timeoutMs: 60 * MINUTE,
      name: "suites one by one",
      args: ALONE.map((path) => `${path}.test.ts`),
    }),
    {
      // What depends most on how requests come in; scripts/suites alone runs the whole matrix.
      name: "suites over io_uring",
      command: ["scripts/suites", "--transport", "io_uring", ...OVER_RINGS],
      timeoutMs: 60 * MINUTE,
      count: countSuites,
      failures: toldFailures,
    },
  ];
}
