// Runs every test runner, whatever the ones before it did, and closes with what failed and one line
// that counts the tests of all of them. A runner that dies, hangs or counts nothing is a failure of
// its own.
import { readFileSync } from "node:fs";
import { type Failure, told, unnamed, within } from "./failures.ts";
import { interruptible, runGroup } from "./group.ts";
import { runners, type Counts, type Runner } from "./runners.ts";
import { unsteady, worthRepeating } from "./unsteady.ts";

interface Result extends Counts {
  name: string;
  seconds: number;
  problem?: string;
  failures: Failure[];
  /** Tests that passed only at the second attempt. */
  unsteady: string[];
}

async function measure(runner: Runner): Promise<Result> {
  console.log(`\n== ${runner.name}: ${runner.command.join(" ")}`);
  const started = Date.now();
  const { output, code, timedOut } = await runGroup(runner.command, runner);
  const counted = runner.count(output);
  const counts = counted ?? { passed: 0, failed: 0, skipped: 0 };
  const seconds = (Date.now() - started) / 1000;
  const result: Result = { name: runner.name, seconds, failures: [], unsteady: [], ...counts };
  const tests = counts.passed + counts.failed + counts.skipped;
  if (timedOut) result.problem = `stopped after ${runner.timeoutMs / 60_000} minutes`;
  else if (counted === undefined || (tests === 0 && !runner.gate))
    result.problem = "counted no test";
  else if (code !== 0 && counts.failed === 0) result.problem = `exit code ${code}`;
  if (result.problem !== undefined) result.failed += 1;
  result.unsteady = unsteady(output);
  if (result.problem === undefined && result.failed > 0) await repeat(runner, result, output);
  if (result.failed > 0) result.failures = within(runner.name, failures(runner, result, output));
  return result;
}

/** Gives tests that failed their second attempt, where the runner has not done so itself. */
async function repeat(runner: Runner, result: Result, output: string): Promise<void> {
  const names = worthRepeating(output);
  if (runner.again === undefined || names.length !== result.failed) return;
  console.log(`\n== ${runner.name}, once more: ${names.join(" ")}`);
  const again = await runGroup(runner.again(names), runner);
  const passed = runner.count(again.output)?.passed ?? 0;
  if (again.timedOut || again.code !== 0 || passed < names.length) return;
  result.passed += names.length;
  result.failed = 0;
  result.unsteady = names;
}

/** At least one, whatever the runner has said. */
function failures(runner: Runner, { problem }: Result, output: string): Failure[] {
  const found = runner.failures(output);
  if (problem !== undefined) return [...found, unnamed(problem, output)];
  return found.length > 0 ? found : [unnamed("which of them it does not say", output)];
}

/** Tests clean up after themselves: a host mount that is still there is a failure. */
function hostMounts(): string[] {
  try {
    const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
    return mounts.filter((line) => / fuse(\.devdev)? /.test(line) && /devdev/.test(line));
  } catch {
    return []; // no /proc: no host mounts either
  }
}

async function main(): Promise<void> {
  const mountsBefore = new Set(hostMounts());
  const results: Result[] = [];
  for (const runner of runners()) results.push(await measure(runner));
  const left = hostMounts().filter((line) => !mountsBefore.has(line));
  const total = { passed: 0, failed: left.length, skipped: 0 };
  console.log("");
  for (const { name, passed, failed, skipped, seconds, problem } of results) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    const note = problem === undefined ? "" : `  <- ${problem}`;
    console.log(
      `${name}: ${passed} ok, ${failed} not, ${skipped} skipped, ${seconds.toFixed(0)} s${note}`,
    );
  }
  for (const line of left) console.log(`a host mount was left behind: ${line}`);
  for (const line of told(results.flatMap((result) => result.failures))) console.log(line);
  for (const { name, unsteady: names } of results)
    for (const test of names) console.log(`passed at the second attempt only: ${name}: ${test}`);
  const skips = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`${total.passed} passed, ${total.failed} failed${skips}`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

await interruptible(main);
