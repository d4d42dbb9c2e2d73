// A second attempt neither hides that there was a first one, nor lets a real failure pass.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { countVitest } from "./runners.ts";
import { unsteady, worthRepeating } from "./unsteady.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("a test of vitest that passes the second time is told, and one that fails twice fails", () => {
  const dir = mkdtempSync(join(ROOT, "node_modules/.cache/unsteady-"));
  try {
    writeFileSync(join(dir, "vitest.config.ts"), "export default {};");
    writeFileSync(
      join(dir, "a.test.ts"),
      `import { expect, test } from "vitest";
       let n = 0;
       test("stumbles", () => expect(++n).toBe(2));
       test("stands", () => expect(1).toBe(1));
       test("falls", () => expect(1).toBe(2));`,
    );
    const reporters = [
      "--reporter=default",
      `--reporter=${join(ROOT, "scripts/tests/unsteady.ts")}`,
    ];
    const args = ["run", "--root", dir, "--retry=1", ...reporters];
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    const { stdout, status } = spawnSync(process.execPath, [vitest, ...args], {
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect(unsteady(stdout)).toEqual([
      expect.stringMatching(/^a\.test\.ts > stumbles: expected 1/),
    ]);
    expect(countVitest(stdout)).toEqual({ passed: 2, failed: 1, skipped: 0 });
    expect(status).toBe(1);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

const FAILED = [
  "test a::b ... FAILED",
  "---- a::b stdout ----",
  "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
  "error: test failed, to rerun pass `-p devdev-vfs --test model`",
];

test("cargo's failed tests are repeated", () => {
  expect(worthRepeating(FAILED.join("\n"))).toEqual(["a::b"]);
  expect(worthRepeating("test result: ok. 2 passed; 0 failed")).toEqual([]);
});

test("nothing is repeated when a test's process died: nobody knows what it had yet to run", () => {
  const died = ["error: test failed, to rerun pass `-p devdev-fuse --lib`", "process didn't exit"];
  expect(worthRepeating([...FAILED, ...died].join("\n"))).toEqual([]);
});
