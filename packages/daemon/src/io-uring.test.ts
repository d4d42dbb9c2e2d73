// What doctor says of FUSE over io_uring on machines of several kinds.

import { expect, test } from "vitest";
import { judge, type RingSigns } from "./io-uring.js";

const good: RingSigns = { parameter: "Y", disabled: "0", mounts: "", root: true };
const fusectl = "fusectl /sys/fs/fuse/connections fusectl rw,relatime 0 0";

test("a machine on which it can be used gets no advice", () => {
  expect(judge(good)).toEqual({ name: "FUSE over io_uring", ok: true, detail: "on" });
  expect(judge({ ...good, root: false, mounts: fusectl }).hint).toBeUndefined();
  expect(judge({ ...good, parameter: undefined }).detail).toContain("not offered");
});

test.each<[string, Partial<RingSigns>, string]>([
  ["the kernel's switch", { parameter: "N" }, "enable_uring=1"],
  ["io_uring for all", { disabled: "2" }, "io_uring_disabled=0"],
  ["io_uring for users", { disabled: "1", root: false, mounts: fusectl }, "io_uring_disabled=0"],
  ["fusectl for users", { root: false }, "mount -t fusectl"],
])("what is missing is named: %s", (_what, signs, advice) => {
  const { ok, hint } = judge({ ...good, ...signs });
  expect(ok).toBe(true);
  expect(hint).toContain(advice);
});

test("root needs neither fusectl nor the users' leave", () => {
  expect(judge({ ...good, disabled: "1" }).detail).toBe("on");
});
