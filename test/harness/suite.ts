// What each suite opens with: one describe for each identity, skipped aloud where host mounts
// cannot be tested at all (a skip that DEVDEV_REQUIRE_MOUNT=1 turns into a failure).

import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Devdev } from "./devdev.ts";
import { until } from "./run.ts";
import { type Identity, identity, identityNames, SYSTEM_PATH } from "./identity.ts";

const missing = existsSync("/dev/fuse") ? undefined : "/dev/fuse is missing";

/** Runs `define` for root and for an ordinary user, as far as this machine has them. */
export function forEachIdentity(
  name: string,
  define: (who: () => Promise<Identity>, as: "root" | "user") => void,
): void {
  if (!identityNames.includes("root")) {
    test.skip(`${name} as root: the suites do not run as root`, () => {});
  }
  for (const as of identityNames)
    mounting(`${name} as ${as}`, () => define(() => identity(as), as));
}

/** A describe of tests that need host mounts. */
export function mounting(name: string, define: () => void): void {
  if (missing === undefined) describe(name, define);
  else if (process.env["DEVDEV_REQUIRE_MOUNT"] === "1") {
    test(name, () => expect.fail(`${missing}, and DEVDEV_REQUIRE_MOUNT=1 allows no skip`));
  } else test.skip(`${name}: ${missing}`, () => {});
}

/** One Devdev for all tests of a describe, mounted before the first; ended after the last. */
export function useDevdev(who: () => Promise<Identity>, name: string): () => Devdev {
  let devdev: Devdev | undefined;
  beforeAll(async () => {
    devdev = await Devdev.create(await who(), name);
    await devdev.mount();
  });
  afterAll(() => devdev?.[Symbol.asyncDispose]());
  return () => {
    if (devdev === undefined) throw new Error("the workspace was not mounted");
    return devdev;
  };
}

/**
 * Waits until a command has made this file in its TMPDIR, where no restore touches it: so it says
 * how far it has come. Each name is for one wait.
 */
export async function marked(devdev: Devdev, name: string): Promise<void> {
  const file = join(devdev.mountPoint, ".devdev/tmp", name);
  const made = async (): Promise<boolean> => (await devdev.host(["test", "-e", file])).code === 0;
  await until(`a command's mark ${name}`, made, 60_000);
}

/** For `test.skipIf`: whether programs are missing here. Says which, so that no skip is silent. */
export function lacks(...programs: string[]): boolean {
  const lacking = programs.filter((program) => !onPath(program));
  if (lacking.length > 0) console.warn(`tests are skipped: ${lacking.join(", ")} not installed`);
  return lacking.length > 0;
}

const PLACES = [...SYSTEM_PATH.split(":"), ...globSync("/usr/lib/postgresql/*/bin")];

function onPath(program: string): boolean {
  return PLACES.some((directory) => existsSync(join(directory, program)));
}
