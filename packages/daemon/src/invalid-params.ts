// What is wrong with a request, as one sentence: the validator's own message is JSON.

import { DevdevError } from "@devdev/errno";

interface Issue {
  path: readonly PropertyKey[];
  message: string;
}

export function invalidParams(
  request: string,
  { issues }: { issues: readonly Issue[] },
): DevdevError {
  const all = issues.map(({ path, message }) => `${path.join(".") || "parameters"}: ${message}`);
  return new DevdevError("ERR_INVALID_PARAMS", `${request}: ${all.join("; ")}`);
}
