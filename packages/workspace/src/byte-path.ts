// Paths that may not be UTF-8: as bytes for the engine, and as git prints them.

import type { BytePath } from "@devdev/protocol";

export function bytesOf(path: BytePath): Buffer {
  return typeof path === "string" ? Buffer.from(path) : Buffer.from(path.b64, "base64");
}

const ESCAPES: Record<number, string> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

/**
 * `a/` and the path without its leading slash, in quotes when it has bytes that git would escape.
 */
export function gitPath(side: "a" | "b", path: BytePath): string {
  const bytes = Buffer.concat([Buffer.from(`${side}/`), withoutSlash(bytesOf(path))]);
  const isText = typeof path === "string";
  const odd = (byte: number): boolean =>
    byte < 32 || byte === 34 || byte === 92 || byte === 127 || (byte > 127 && !isText);
  if (!bytes.some(odd)) return bytes.toString();
  const parts = [...bytes].map((byte) => (odd(byte) ? escape(byte) : String.fromCharCode(byte)));
  // What is left above 127 are bytes of UTF-8, each a character by now.
  return `"${Buffer.from(parts.join(""), "latin1").toString()}"`;
}

/** The path as text without its leading slash, for lines of headers that name it. */
export function gitName(path: BytePath): string {
  const quoted = gitPath("a", path);
  return quoted.startsWith('"') ? `"${quoted.slice(3)}` : quoted.slice(2);
}

function escape(byte: number): string {
  return ESCAPES[byte] ?? `\\${byte.toString(8).padStart(3, "0")}`;
}

function withoutSlash(bytes: Buffer): Buffer {
  return bytes[0] === 0x2f ? bytes.subarray(1) : bytes;
}
