// What is read out of /proc/mounts and /proc/self/cgroup; the groups: executor.test.ts.
import { expect, test } from "vitest";

import { cgroupMount, ownCgroup } from "./cgroup.js";

test("cgroupMount finds version 2, also below unified/ and with escapes", () => {
  const hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n";
  expect(cgroupMount(`${hybrid}cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n`)).toBe(
    "/sys/fs/cgroup/unified",
  );
  expect(cgroupMount("none /my\\040cg cgroup2 rw 0 0\n")).toBe("/my cg");
  expect(cgroupMount(hybrid)).toBeUndefined();
});

test("ownCgroup reads the line of version 2 and refuses what lies outside", () => {
  expect(ownCgroup("4:memory:/x\n0::/user.slice/a b\n")).toBe("/user.slice/a b");
  expect(ownCgroup("0::/../other\n")).toBeUndefined();
  expect(ownCgroup("4:memory:/x\n")).toBeUndefined();
});
