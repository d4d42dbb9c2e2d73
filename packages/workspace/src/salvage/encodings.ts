// The ways in which the bytes of an object may have been kept, when what is said about them is
// wrong.

import { zstdDecompressSync } from "node:zlib";

import type { StoredObject } from "@devdev/store";

const LONGEST = 64 << 20;

/** As it is said to be, then otherwise. */
export function encodingsOf(object: StoredObject): StoredObject[] {
  const { data } = object;
  const raw = { encoding: 0, rawLength: data.length, data };
  const rawLength = unpackedLength(data);
  return rawLength === undefined ? [object, raw] : [object, raw, { encoding: 1, rawLength, data }];
}

function unpackedLength(data: Uint8Array): number | undefined {
  try {
    return zstdDecompressSync(data, { maxOutputLength: LONGEST }).length;
  } catch {
    return undefined;
  }
}
