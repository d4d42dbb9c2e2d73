// What each suite opens with: one describe for each identity, skipped aloud where host mounts
// cannot be tested at all (a skip that DEVDEV_REQUIRE_MOUNT=1 turns into a failure).

import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Devdev } from "./devdev.ts";
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
