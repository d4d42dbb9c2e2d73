// The log when its disk is full.

import fs from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { openLog } from "./log.ts";

test("a full disk costs no request: lines wait, and are written when there is room", async () => {
  const dir = await mkdtemp(join(tmpdir(), "devdev-log-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const log = await openLog(dir, false);
  const full = vi.spyOn(fs, "writeSync").mockImplementation(() => {
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  });
  onTestFinished(() => full.mockRestore());
  log.info("while it is full");
  expect(full).toHaveBeenCalled();
  full.mockRestore();
  log.info("with room again");
  const lines = await readFile(join(dir, "daemon.1.log"), "utf8");
  expect(lines).toContain("while it is full");
  expect(lines).toContain("with room again");
});
