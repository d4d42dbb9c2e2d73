// What scripts/test and scripts/suites start must not outlive them, nor keep them.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processesOf } from "../../test/harness/processes.ts";
import { runGroup } from "./group.ts";

const MODULE = join(import.meta.dirname, "group.ts");
/** Names the processes of these tests. */
const SECONDS = `100.0${process.pid}`;
const WAITS = `echo begun; sleep ${SECONDS} & sleep ${SECONDS}`;
const DEAF = `trap '' TERM; (${WAITS}) & wait`;

/** A script of its own that runs a command; its output from when the command has begun. */
async function begun(command: string): Promise<{ script: ChildProcess; out: () => string }> {
  const source = `import { runGroup } from ${JSON.stringify(MODULE)};
    const ended = runGroup(["sh", "-c", ${JSON.stringify(command)}]);
    const { message, exitCode } = await ended.catch((error) => error);
    console.log(message);
    process.exit(exitCode);`;
  const argv = ["--input-type=module-typescript", "-e", source];
  const script = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  await new Promise<void>((resolve, reject) => {
    script.on("exit", () => reject(new Error(`ended with ${out}`)));
    script.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      out += chunk;
      if (out.includes("begun")) resolve();
    });
  });
  return { script, out: () => out };
}

test.each([
  ["SIGINT", 130, WAITS],
  ["SIGTERM", 143, DEAF],
] as const)(
  "%s ends what runs, and its script",
  { timeout: 60_000 },
  async (signal, code, what) => {
    const { script, out } = await begun(what);
    expect(processesOf(SECONDS)).not.toEqual([]);
    const ended = new Promise((resolve) => script.on("close", resolve));
    script.kill(signal);
    expect(await ended).toBe(code);
    expect(out()).toBe(`begun\ninterrupted by ${signal}\n`);
    expect(processesOf(SECONDS)).toEqual([]);
  },
);

test("a command that takes too long is ended with all it has started", async () => {
  const { timedOut, output } = await runGroup(["sh", "-c", WAITS], { timeoutMs: 300 });
  expect({ timedOut, output }).toEqual({ timedOut: true, output: "begun\n" });
  expect(processesOf(SECONDS)).toEqual([]);
});

test("a command that cannot be started is a result", async () => {
  const { code, output } = await runGroup(["/nonexistent/program"]);
  expect({ code, output }).toEqual({ code: 127, output: expect.stringContaining("ENOENT") });
});
