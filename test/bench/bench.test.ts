// The benchmark runs, and writes what it promises. Its figures are judged by people, not by a test
// on a machine with other things to do.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { base, CHECKOUT } from "../harness/base.ts";
import { must } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";
import { buildFsops } from "../property/fsops.ts";
import { counted, median } from "./statistics.ts";
import { WarmMemory } from "./warm-up.ts";

test("memory is held, and held again after others took theirs", { timeout: 120_000 }, async () => {
  await using memory = new WarmMemory(await buildFsops(), 512);
  expect(await memory.fill()).toBe(512);
  const taken = Buffer.alloc(128 << 20, 1);
  expect(await memory.fill()).toBe(512);
  expect(taken).toHaveLength(128 << 20);
});

test("memory whose keeper was killed says so, and is given back", async () => {
  const fsops = await buildFsops();
  await using memory = new WarmMemory(fsops, 16);
  expect(await memory.fill()).toBe(16);
  await must(["pkill", "-KILL", "-P", String(process.pid), "-f", `^${fsops} warm --mib 16$`]);
  await expect(memory.fill()).rejects.toThrow("the memory's keeper ended");
});

mounting("the benchmark", () => {
  test("scripts/bench --quick writes a table and JSON", { timeout: 300_000 }, async () => {
    const out = join(base(), "BENCHMARKS.md");
    // A base of its own: the benchmark sweeps its directory at the end.
    const { DEVDEV_TEST_BASE: _, ...env } = process.env;
    const command = [join(CHECKOUT, "scripts/bench"), "--quick", "--rounds", "1", "--out", out];
    await must(command, { env, timeoutMs: 280_000 });
    const text = readFileSync(out, "utf8");
    const rows = text.split("\n").filter((line) => line.startsWith("| "));
    for (const step of ["git clone", "npm install", "rm -rf", "create", "random read"]) {
      const row = rows.find((line) => line.includes(step));
      expect(row).toMatch(/ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ x \| [\d.]+ x \|$/);
    }
    expect(text).toMatch(/\| snapshot, nothing changed \| [\d.]+ \|/);
    const json = JSON.parse(readFileSync(out.replace(".md", ".json"), "utf8")) as {
      results: Record<string, Record<string, { values: number[] }>>;
    };
    expect(Object.keys(json.results)).toEqual(["tmpfs", "disk", "workspace", "devdev"]);
    expect(json.results["workspace"]!["git clone"]!.values).toHaveLength(1);
  });
});

mounting("the benchmark of the JavaScript side", () => {
  test("scripts/bench snapshots --quick writes its section", { timeout: 300_000 }, async () => {
    const out = join(base(), "SNAPSHOTS.md");
    const { DEVDEV_TEST_BASE: _, ...env } = process.env;
    const command = [join(CHECKOUT, "scripts/bench"), "snapshots", "--quick", "--rounds", "1"];
    await must([...command, "--out", out], { env, timeoutMs: 290_000 });
    const text = readFileSync(out, "utf8");
    for (const row of ["first snapshot", "restore, 10 files differ", "pause, four writers: p99"]) {
      expect(text).toMatch(new RegExp(`\\| ${row} \\| \\S+ \\| [\\d.]+ \\|`));
    }
    for (const row of ["cp -a", "git add", "cp --reflink .xfs", "btrfs subvolume"]) {
      expect(text).toMatch(new RegExp(`\\| ${row}.*( [\\d.]+ \\|$|left out, )`, "m"));
    }
  });

  test("scripts/bench js --quick writes a table and JSON", { timeout: 300_000 }, async () => {
    const out = join(base(), "BENCHMARKS-JS.md");
    await must([join(CHECKOUT, "scripts/bench"), "js", "--quick", "--out", out], {
      timeoutMs: 280_000,
    });
    const rows = readFileSync(out, "utf8")
      .split("\n")
      .filter((line) => line.startsWith("| "));
    const cell = String.raw` \| [\d.]+`;
    for (const step of ["writeFile", "stat", "readFile", "readdir of 1000", "rename"]) {
      const [sync, promise] = rows.filter((row) => row.startsWith(`| ${step} |`));
      expect(sync).toMatch(new RegExp(`${cell.repeat(3)} \\| -${cell.repeat(2)} \\|$`));
      expect(promise).toMatch(new RegExp(`${cell.repeat(6)} \\|$`));
    }
    const { results } = JSON.parse(readFileSync(out.replace(".md", ".json"), "utf8")) as {
      results: Record<string, Record<string, Record<string, number[]>>>;
    };
    expect(results["promise"]!["stat"]!["ws.fs, mounted"]).toHaveLength(2);
  });
});

test("the median of an even number of values lies between the middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
});

test("values of rounds with stolen CPU time count only where too few are left", () => {
  const unit = "s" as const;
  const values = [5, 1, 9, 2, 3];
  expect(counted({ unit, values, stolen: [0.1, 0, 0.3, 0.02, 0.01] })).toEqual([1, 3, 2]);
  expect(counted({ unit, values, stolen: [0.1, 0, 0.3, 0.2, 0.01] })).toEqual([1, 3, 5]);
  expect(counted({ unit, values, stolen: [0, 0, 0, 0, 0] })).toEqual(values);
  expect(counted({ unit, values: [4], stolen: [0.5] })).toEqual([4]);
});
