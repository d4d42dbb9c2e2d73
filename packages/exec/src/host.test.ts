// The look-ups on the real host.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { expect, test } from "vitest";

import { findOnPath, readHost, userShell } from "./host.js";

test("findOnPath takes the first executable file and no relative entry", () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "devdev-host-"));
  for (const sub of ["a", "b", "c/tool"]) fs.mkdirSync(path.join(dir, sub), { recursive: true });
  fs.writeFileSync(path.join(dir, "a/tool"), "", { mode: 0o644 });
  fs.writeFileSync(path.join(dir, "b/tool"), "", { mode: 0o755 });
  const search = ["", ".", ...["none", "c", "a", "b"].map((sub) => path.join(dir, sub))];
  expect(findOnPath("tool", search.join(":"))).toBe(path.join(dir, "b/tool"));
  expect(findOnPath("other", search.join(":"))).toBeUndefined();
  fs.rmSync(dir, { recursive: true });
});

test("readHost knows the user", () => {
  const host = readHost();
  expect(host.user).toBe(os.userInfo().username);
  expect(host.isDirectory(host.home)).toBe(true);
  expect(path.isAbsolute(userShell())).toBe(true);
});
