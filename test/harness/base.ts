// Where the suites work: one directory for a whole run, made and swept by global-setup.ts, so that
// whatever a test leaves behind (mounts, daemons, files) can be found again.

import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout under test. */
export const CHECKOUT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Tells what a run starts of its directory. */
export const BASE_VARIABLE = "DEVDEV_TEST_BASE";
export const BASE_PREFIX = join(tmpdir(), "devdev-suite-");

/** The directory of this run; anybody may enter, as the ordinary user must. */
export function base(): string {
  const known = process.env[BASE_VARIABLE];
  if (known !== undefined) return known;
  const made = mkdtempSync(`${BASE_PREFIX}${process.pid}-`);
  process.env[BASE_VARIABLE] = made;
  process.umask(0o022);
  chmodSync(made, 0o755);
  return made;
}
