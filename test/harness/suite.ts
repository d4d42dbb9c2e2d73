// What each suite opens with: one describe for each identity, skipped aloud where host mounts cannot
// be tested at all (a skip that DEVDEV_REQUIRE_MOUNT=1 turns into a failure).

import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Identity, identity, identityNames } from "./identity.ts";

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
