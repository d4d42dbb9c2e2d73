// What doctor says of FUSE over io_uring: whether mounts can use it here, and if not, what root
// would have to do.

import { readFile } from "node:fs/promises";
import type { DoctorCheck } from "@devdev/protocol";

const PARAMETER = "/sys/module/fuse/parameters/enable_uring";
const CONTROL = "/sys/fs/fuse/connections";

/** What it looks at. */
export interface RingSigns {
  /** The kernel's switch: absent, Y or N. */
  parameter: string | undefined;
  /** kernel.io_uring_disabled: 0, 1 (for users) or 2. */
  disabled: string | undefined;
  /** The mount table of this process. */
  mounts: string;
  root: boolean;
}

/** The first line of a file; undefined if there is none. */
export async function firstLine(path: string): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text?.trim();
}

export async function ioUring(): Promise<DoctorCheck> {
  return judge({
    parameter: await firstLine(PARAMETER),
    disabled: await firstLine("/proc/sys/kernel/io_uring_disabled"),
    mounts: (await firstLine("/proc/self/mounts")) ?? "",
    root: process.getuid?.() === 0,
  });
}

/** None of it is a fault: without it mounts work as well, slower. */
export function judge({ parameter, disabled, mounts, root }: RingSigns): DoctorCheck {
  const check = (detail: string, hint?: string): DoctorCheck => ({
    name: "FUSE over io_uring",
    ok: true,
    detail,
    ...(hint !== undefined && { hint: `as root: ${hint}; then mount anew` }),
  });
  const classic = "requests go through /dev/fuse, which is slower";
  if (parameter === undefined) return check(`not offered by this kernel: ${classic}`);
  if (parameter !== "Y" && parameter !== "1") {
    const forGood =
      "for good: fuse.enable_uring=1 on the kernel's command line, or `options fuse enable_uring=1` in /etc/modprobe.d/fuse.conf";
    return check(
      `this kernel has it, switched off: ${classic}`,
      `\`echo Y > ${PARAMETER}\` (${forGood})`,
    );
  }
  if (disabled === "2" || (disabled === "1" && !root)) {
    return check(
      `on, but this user may not use io_uring: ${classic}`,
      "`sysctl kernel.io_uring_disabled=0`",
    );
  }
  if (!root && !mounts.includes(` ${CONTROL} fusectl `)) {
    return check(
      `on, but without fusectl no mount of a user could be ended from outside: ${classic}`,
      `\`mount -t fusectl fusectl ${CONTROL}\``,
    );
  }
  return check("on");
}
