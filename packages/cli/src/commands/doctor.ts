// devdev doctor.

import { line, printJson } from "../print.js";
import type { GlobalOptions } from "../program.js";
import { Session } from "../session.js";

export async function doctor(options: GlobalOptions): Promise<number> {
  using session = await Session.open(options);
  const checks = await session.call("doctor", {});
  const healthy = checks.every((check) => check.ok);
  if (options.json) printJson({ healthy, checks });
  else {
    for (const { name, ok, detail, hint } of checks) {
      line(`${ok ? "ok  " : "FAIL"} ${name}: ${detail}`);
      if (hint !== undefined) line(`     ${hint}`);
    }
  }
  return healthy ? 0 : 1;
}
