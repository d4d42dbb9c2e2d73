// Paths as the addon gives them, for people and for JSON.

import type { BytePath } from "@devdev/protocol";

export function bytePath(bytes: Uint8Array): BytePath {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  // What is not UTF-8 becomes this character; a name may also have it.
  const isText = !text.includes("\ufffd") || Buffer.from(text).equals(buffer);
  return isText ? text : { b64: buffer.toString("base64") };
}
