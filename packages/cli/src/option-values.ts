// What the values of options may look like, and what they come to.

import { InvalidArgumentError } from "commander";

export function gather(value: string, before: string[]): string[] {
  return [...before, value];
}

export function count(value: string): number {
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError("a whole number is needed");
  return Number(value);
}

export function seconds(value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError("a number of seconds above 0 is needed");
  return number;
}

export function bytes(value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(value);
  if (!match) throw new InvalidArgumentError("a size is needed, like 500m or 16g");
  const power = "kmgt".indexOf((match[2] ?? "").toLowerCase() || " ") + 1;
  return Math.floor(Number(match[1]) * 1024 ** power);
}

/** Milliseconds. */
export function age(value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(value);
  if (!match) throw new InvalidArgumentError("a time is needed, like 90s, 30m, 12h, 7d or 2w");
  const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  return Math.round(Number(match[1]) * (units[match[2] ?? ""] ?? 0) * 1000);
}

/** A size, or 0 for `none`: a parser cannot give null. */
export function bytesOrNone(value: string): number {
  return value === "none" ? 0 : bytes(value);
}
