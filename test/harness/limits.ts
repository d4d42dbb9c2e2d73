// A workspace with a small byte limit, and how much memory its daemon takes while somebody takes
// what it can get (the adversaries of test/fixtures/limits.py).

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Devdev } from "./devdev.ts";
import { identity, identityNames } from "./identity.ts";
import { peakBound, statusMiB } from "./rss.ts";
import { inDirectory } from "./run.ts";

/** Small, since what a daemon takes for itself counts for more then. */
const LIMIT_MIB = 384;
export const BOUND_MIB = peakBound(LIMIT_MIB);

/** A workspace of that limit. */
export async function limited(...flags: string[]): Promise<Devdev> {
  const devdev = await Devdev.create(await identity(identityNames[0]!), "limits");
  await devdev.mount("--limit", `${LIMIT_MIB}m`, ...flags);
  return devdev;
}

/** Runs an adversary in the directory of `peakOf`. */
export function adversary(devdev: Devdev, ...argv: (string | number)[]): Promise<unknown> {
  const script = join(devdev.identity.checkout, "test/fixtures/limits.py");
  const command = ["python3", script, ...argv.map(String)];
  return devdev.mustHost(inDirectory(join(devdev.mountPoint, "here"), command), {
    timeoutMs: 110_000,
  });
}

/** Runs it in an empty directory; the peak of the daemon's memory meanwhile, in MiB. */
export async function peakOf(
  devdev: Devdev,
  what: string,
  during: () => Promise<unknown>,
): Promise<number> {
  const pid = await devdev.daemonPid();
  await devdev.mustHost(["mkdir", join(devdev.mountPoint, "here")]);
  writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak begins anew
  await during();
  const peak = statusMiB(pid, "VmHWM");
  console.info(`limits: ${what} ${peak.toFixed(0)} MiB of ${BOUND_MIB.toFixed(0)}`);
  await devdev.mustHost(["rm", "-rf", join(devdev.mountPoint, "here")]);
  return peak;
}
