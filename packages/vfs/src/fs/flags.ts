// Open flags: Node's strings and the host's numbers, as the engine's own bits (the numbers differ
// between hosts).

import { constants } from "node:fs";
import { integer, invalidValue } from "./arguments.js";

const READ = 1;
const WRITE = 2;
const APPEND = 4;
const CREATE = 8;
const EXCLUSIVE = 16;
const TRUNCATE = 32;
const DIRECTORY = 64;
const NOFOLLOW = 128;

const STRINGS: Readonly<Record<string, number>> = {
  r: READ,
  rs: READ,
  sr: READ,
  "r+": READ | WRITE,
  "rs+": READ | WRITE,
  "sr+": READ | WRITE,
  w: WRITE | CREATE | TRUNCATE,
  wx: WRITE | CREATE | TRUNCATE | EXCLUSIVE,
  xw: WRITE | CREATE | TRUNCATE | EXCLUSIVE,
  "w+": READ | WRITE | CREATE | TRUNCATE,
  "wx+": READ | WRITE | CREATE | TRUNCATE | EXCLUSIVE,
  "xw+": READ | WRITE | CREATE | TRUNCATE | EXCLUSIVE,
  a: WRITE | CREATE | APPEND,
  ax: WRITE | CREATE | APPEND | EXCLUSIVE,
  xa: WRITE | CREATE | APPEND | EXCLUSIVE,
  as: WRITE | CREATE | APPEND,
  sa: WRITE | CREATE | APPEND,
  "a+": READ | WRITE | CREATE | APPEND,
  "ax+": READ | WRITE | CREATE | APPEND | EXCLUSIVE,
  "xa+": READ | WRITE | CREATE | APPEND | EXCLUSIVE,
  "as+": READ | WRITE | CREATE | APPEND,
  "sa+": READ | WRITE | CREATE | APPEND,
};

const NUMBERS: ReadonlyArray<[number | undefined, number]> = [
  [constants.O_APPEND, APPEND],
  [constants.O_CREAT, CREATE],
  [constants.O_EXCL, EXCLUSIVE],
  [constants.O_TRUNC, TRUNCATE],
  [constants.O_DIRECTORY, DIRECTORY],
  [constants.O_NOFOLLOW, NOFOLLOW],
];

/** The engine's bits of flags as callers give them. */
export function flagBits(flags: string | number | null | undefined, otherwise: string): number {
  const given = flags ?? otherwise;
  if (typeof given === "string") {
    const bits = STRINGS[given];
    if (bits === undefined) throw invalidValue("flags", given);
    return bits;
  }
  const number = integer(given, "flags", -0x80000000, 0x7fffffff);
  const access = number & 3;
  let bits =
    access === constants.O_RDONLY ? READ : access === constants.O_WRONLY ? WRITE : READ | WRITE;
  for (const [host, ours] of NUMBERS) {
    if (host !== undefined && (number & host) !== 0) bits |= ours;
  }
  return bits;
}
