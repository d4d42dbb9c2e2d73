// Unit tests live beside their source and never touch a host mount; the suites under test/ do.
// Packages import each other through their built dist/, so build first (scripts/check does).
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
          testTimeout: 30_000,
          // One second, its default, is little for a process tree on a busy machine.
          expect: { poll: { timeout: 15_000 } },
        },
      },
      {
        test: {
          name: "suites",
          include: ["test/**/*.test.ts"],
          // Mounts, daemons and two cores: one file at a time keeps the timings honest.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          globalSetup: ["test/harness/global-setup.ts"],
        },
      },
    ],
  },
});
