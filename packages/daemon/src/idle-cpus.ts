// What doctor says of idle CPUs: in a virtual machine whose CPUs halt at once, waking them is most
// of what a request of a mount costs.

import { access, constants } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { DoctorCheck } from "@devdev/protocol";
import { firstLine } from "./io-uring.js";

const DEVICE = "/dev/cpu_dma_latency";
const POLLING = "/sys/module/haltpoll/parameters/guest_halt_poll_ns";
/** As in the bridge: from here on the machine polls long enough by itself. */
const POLLING_ENOUGH_NS = 50_000;
/** As in the bridge: more are not kept awake. */
const MOST_CPUS = 8;

/** What it looks at. */
export interface IdleSigns {
  driver: string | undefined;
  polling: string | undefined;
  /** This user may ask for idle CPUs that answer at once. */
  permitted: boolean;
  cpus: number;
  /** DEVDEV_KEEP_AWAKE. */
  choice: string | undefined;
}

export async function idleCpus(): Promise<DoctorCheck> {
  return judgeIdle({
    driver: await firstLine("/sys/devices/system/cpu/cpuidle/current_driver"),
    polling: await firstLine(POLLING),
    permitted: await access(DEVICE, constants.W_OK).then(
      () => true,
      () => false,
    ),
    cpus: availableParallelism(),
    choice: process.env["DEVDEV_KEEP_AWAKE"],
  });
}

/** None of it is a fault: mounts work as well, with slower requests. */
export function judgeIdle(signs: IdleSigns): DoctorCheck {
  const check = { name: "idle CPUs", ok: true };
  const polls = signs.polling !== undefined && Number(signs.polling) >= POLLING_ENOUGH_NS;
  if (signs.driver !== "haltpoll" || polls || signs.cpus < 2) {
    return { ...check, detail: "nothing to be done" };
  }
  const halting =
    "idle CPUs of this virtual machine halt at once, so requests take up to 3 x longer";
  const hint = `as root: \`echo 200000 > ${POLLING}\` (the kernel's own default)`;
  if (signs.choice === "off")
    return { ...check, detail: `${halting} (DEVDEV_KEEP_AWAKE=off)`, hint };
  if (signs.cpus > MOST_CPUS) return { ...check, detail: halting, hint };
  const awake = "kept awake while a mount is busy (not with DEVDEV_KEEP_AWAKE=off)";
  if (signs.permitted) return { ...check, detail: awake };
  const means = "by a process that spins, unless a quota limits this user's CPU time";
  return { ...check, detail: `${awake}, ${means}`, hint };
}
