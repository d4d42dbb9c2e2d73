// Unit tests live beside their source and never touch a host mount; the suites under test/ do.
// Packages import each other through their built dist/, so build first (scripts/check does).
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/harness/longest-first.ts";

// Suites at once. Mounts, daemons and two cores: one at a time keeps the timings honest, and
// scripts/test takes two of those for which that does not matter.
const workers = Number(process.env["DEVDEV_TEST_WORKERS"] ?? 1);

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
          testTimeout: 120_000,
          // One second, its default, is little for a process tree on a busy machine.
          expect: { poll: { timeout: 60_000 } },
        },
      },
      {
        test: {
          name: "suites",
          include: ["test/**/*.test.ts"],
          maxWorkers: workers,
          testTimeout: 240_000,
          hookTimeout: 180_000,
          expect: { poll: { timeout: 60_000 } },
          globalSetup: ["test/harness/global-setup.ts"],
        },
      },
    ],
  },
});
