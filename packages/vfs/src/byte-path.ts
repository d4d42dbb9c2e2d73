// Paths as the addon gives them, for people and for JSON.

import type { BytePath } from "@devdev/protocol";

export function bytePath(bytes: Uint8Array): BytePath {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  return Buffer.from(text).equals(buffer) ? text : { b64: buffer.toString("base64") };
}
