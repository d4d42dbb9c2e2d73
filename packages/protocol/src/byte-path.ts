// Paths that may not be UTF-8: as bytes for the engine, and as git prints them. Here because the
// library writes them into patches and the command line into lists, and both must look the same.

import type { BytePath } from "./diff.js";

const SLASH = 0x2f;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DELETE = 0x7f;
const ESCAPES: Record<number, string> = {
  0x07: "\\a",
  0x08: "\\b",
  0x09: "\\t",
  0x0a: "\\n",
  0x0b: "\\v",
  0x0c: "\\f",
  0x0d: "\\r",
  [QUOTE]: '\\"',
  [BACKSLASH]: "\\\\",
};

/** Whatever may need an escape, or is no text: what has none of it is printed as it is. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const SPECIAL = /[\u0000-\u001f"\\\u007f-\u009f\ud800-\udfff\ufffd]/;

export function pathBytes(path: BytePath): Buffer {
  return typeof path === "string" ? Buffer.from(path) : Buffer.from(path.b64, "base64");
}

/** A path as it is in messages: text when it is UTF-8, else its bytes. */
export function pathOf(path: string | Uint8Array): BytePath {
  if (typeof path === "string") return path;
  const bytes = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  const text = bytes.toString();
  // What is not UTF-8 becomes this character; a name may also have it.
  const isText = !text.includes("\ufffd") || Buffer.from(text).equals(bytes);
  return isText ? text : { b64: bytes.toString("base64") };
}

/**
 * A path from the workspace's root as git prints it, after `prefix`: without its leading slash, and
 * in quotes with escapes when it has control characters, quotes or backslashes.
 *
 * What is UTF-8 is printed as it is, as git does under `core.quotePath=false`: people read it. A
 * path that is not UTF-8 has all its bytes above 0x7f as octal escapes, as git does by default:
 * text cannot carry them. So are the control characters U+0080 to U+009F, which terminals obey. git
 * reads all of it back, whatever its own setting.
 */
export function gitPath(path: BytePath, prefix = ""): string {
  if (typeof path === "string" && !SPECIAL.test(path)) {
    return `${prefix}${path.startsWith("/") ? path.slice(1) : path}`;
  }
  const bytes = pathBytes(path);
  const named = bytes.subarray(bytes[0] === SLASH ? 1 : 0);
  const text = named.toString();
  const isText = Buffer.from(text).equals(named);
  const parts = isText ? Array.from(text, escapedChar) : Array.from(named, escapedByte);
  const shown = parts.join("");
  return shown === text ? `${prefix}${text}` : `"${prefix}${shown}"`;
}

/** Text on one line, with the escapes of `gitPath` for what a terminal would obey. */
export function onOneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, escapedChar);
}

function escapedChar(char: string): string {
  const code = char.charCodeAt(0);
  if (code < 0x80) return escapedByte(code);
  return code < 0xa0 ? Array.from(Buffer.from(char), escapedByte).join("") : char;
}

function escapedByte(byte: number): string {
  if (ESCAPES[byte] !== undefined) return ESCAPES[byte];
  const isPlain = byte >= 0x20 && byte < DELETE;
  return isPlain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
}
