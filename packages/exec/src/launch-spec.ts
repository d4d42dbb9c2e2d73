// The bytes that tell the launcher what to run. Separate from the launcher so that the layout
// stands in one place per language; the other one is native/helper/src/spec.rs, which draws it.
const VERSION = 1;
const MAX_LENGTH = 16 * 2 ** 20;
const UNLIMITED = 2n ** 64n - 1n;

/** Numbers of Linux's RLIMIT_*. */
const RESOURCES = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
} as const;

export type ResourceName = keyof typeof RESOURCES;

/** Soft and hard limit; "unlimited" for none. */
export interface ResourceLimit {
  soft: number | "unlimited";
  hard: number | "unlimited";
}

export interface LaunchSpec {
  argv: readonly (string | Uint8Array)[];
  env: Readonly<Record<string, string>>;
  cwd: string | Uint8Array;
  terminal?: { cols: number; rows: number } | undefined;
  stdin: "pipe" | "ignore";
  umask: number;
  /** The cgroup.procs file to enter. */
  cgroupProcs?: string | undefined;
  limits?: Partial<Record<ResourceName, ResourceLimit>> | undefined;
}

/** The specification with its length in front; TypeError or RangeError for what cannot be sent. */
export function encodeSpec(spec: LaunchSpec): Buffer {
  if (spec.argv.length === 0) throw invalid("argv", "must name a command");
  const head = Buffer.alloc(14);
  head.writeUInt8(VERSION, 4);
  head.writeUInt8(stdioKind(spec), 5);
  head.writeUInt16LE(dimension(spec.terminal?.cols ?? 0), 6);
  head.writeUInt16LE(dimension(spec.terminal?.rows ?? 0), 8);
  head.writeUInt32LE(spec.umask & 0o777, 10);
  const message = Buffer.concat([
    head,
    list("argv", spec.argv),
    list("env", Object.entries(spec.env).map(assignment)),
    bytes("cwd", spec.cwd),
    bytes("cgroupProcs", spec.cgroupProcs ?? ""),
    limits(spec.limits ?? {}),
  ]);
  if (message.length - 4 > MAX_LENGTH) throw invalid("argv", "and environment are too long");
  message.writeUInt32LE(message.length - 4, 0);
  return message;
}

function stdioKind(spec: LaunchSpec): number {
  if (spec.terminal) return 2;
  return spec.stdin === "pipe" ? 0 : 1;
}

/** A number of columns or rows, or a RangeError. */
export function dimension(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff) return value;
  throw Object.assign(new RangeError(`terminal size out of range: ${value}`), {
    code: "ERR_OUT_OF_RANGE",
  });
}

function assignment([name, value]: [string, string]): string {
  if (name === "" || name.includes("=")) throw invalid("env", `has a bad name: "${name}"`);
  return `${name}=${value}`;
}

function list(field: string, items: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat([u32(items.length), ...items.map((item) => bytes(field, item))]);
}

function bytes(field: string, value: string | Uint8Array): Buffer {
  const content = Buffer.from(value as string);
  if (content.includes(0)) throw invalid(field, "holds a NUL byte");
  return Buffer.concat([u32(content.length), content]);
}

function limits(table: Partial<Record<ResourceName, ResourceLimit>>): Buffer {
  const entries = Object.entries(table) as [ResourceName, ResourceLimit][];
  const parts = entries.map(([name, { soft, hard }]) => {
    const entry = Buffer.alloc(20);
    entry.writeUInt32LE(RESOURCES[name], 0);
    entry.writeBigUInt64LE(limitValue(soft), 4);
    entry.writeBigUInt64LE(limitValue(hard), 12);
    return entry;
  });
  return Buffer.concat([u32(parts.length), ...parts]);
}

function limitValue(value: number | "unlimited"): bigint {
  return value === "unlimited" ? UNLIMITED : BigInt(value);
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

function invalid(field: string, problem: string): TypeError {
  return Object.assign(new TypeError(`${field} ${problem}`), { code: "ERR_INVALID_ARG_VALUE" });
}

/** Sent when the daemon has opened what a "ready" record names. */
export const GO = Buffer.from("G");
