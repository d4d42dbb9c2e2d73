// The options of scripts: what they do not know ends them with their usage and exit code 2.

import { parseArgs, type ParseArgsConfig } from "node:util";

/** How a script is called, and its options. */
interface Script<T extends NonNullable<ParseArgsConfig["options"]>> {
  usage: string;
  options: T;
}

export function refused(usage: string, reason?: string): never {
  if (reason !== undefined) console.error(reason);
  console.error(`usage: ${usage}`);
  process.exit(2);
}

/** The values that were given, or the defaults. */
export function given<const T extends NonNullable<ParseArgsConfig["options"]>>({
  usage,
  options,
}: Script<T>): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refused(usage, (error as Error).message);
  }
}

/** A whole number, at least one. */
export function numberOf(usage: string, option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  return refused(usage, `--${option} ${text}: not a whole number above 0`);
}

/** What names have to match. */
export function patternOf(usage: string, option: string, text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    return refused(usage, `--${option}: ${(error as Error).message}`);
  }
}
