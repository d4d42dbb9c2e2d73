// Reading /proc/PID/stat.
import { expect, test } from "vitest";

import { isAlive, isStopped, parseStat, readProcess, readProcesses } from "./process-table.js";

test("parseStat is not fooled by a name with parentheses and spaces", () => {
  const line = "42 (a) S (b)) T 1 40 39 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 1000 5\n";
  const info = parseStat(line);
  expect(info).toEqual({
    pid: 42,
    command: "a) S (b)",
    state: "T",
    ppid: 1,
    pgid: 40,
    sid: 39,
    startTime: 777,
  });
  expect(isStopped(info)).toBe(true);
  expect(isAlive({ ...info, state: "Z" })).toBe(false);
});

test("a process finds itself, and nobody where there is none", () => {
  const self = readProcess(process.pid);
  expect(self).toMatchObject({ pid: process.pid, ppid: process.ppid });
  expect(readProcess(2 ** 30)).toBeUndefined();
  expect(readProcesses()).toContainEqual(
    expect.objectContaining({ pid: process.pid, startTime: self?.startTime }),
  );
});
