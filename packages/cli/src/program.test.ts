// The command line refuses what makes no sense, with exit code 2, and every command has help with
// examples.

import { expect, test, vi } from "vitest";
import { buildProgram, run } from "./program.js";

function silent(): () => string {
  let text = "";
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => ((text += String(chunk)), true));
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => ((text += String(chunk)), true));
  return () => text;
}

test.each([
  [["bogus"], "unknown command 'bogus'"],
  [["exec"], "missing required argument"],
  [["mount", "--limit", "lots", "ws"], "a size is needed"],
  [["exec", "--timeout", "-1", "--", "ls"], "seconds above 0"],
  [["ls", "extra", "--nonsense"], "unknown option '--nonsense'"],
])("%j is wrong usage", async (argv, message) => {
  const text = silent();
  expect(await run(argv)).toBe(2);
  expect(text()).toContain(message);
  vi.restoreAllMocks();
});

test("every command has a description and examples", async () => {
  const program = buildProgram({ exitCode: 0, json: false, exec: false });
  for (const command of program.commands) {
    const text = silent();
    expect(await run([command.name(), "--help"])).toBe(0);
    vi.restoreAllMocks();
    expect(command.description()).not.toBe("");
    expect(text()).toContain(`$ devdev ${command.name()}`);
  }
});
