// Rows that the suites of a metadata store put in, and how they look at what comes out.

import assert from "node:assert/strict";

import { StoreError } from "../errors.js";
import type { StoreErrorCode } from "../errors.js";
import type { MetadataStore, NewSnapshot, NewWorkspace } from "../store.js";
import type { ConformanceCase } from "./block-store.js";

export type Define = (name: string, body: (metadata: MetadataStore) => void) => ConformanceCase;

export function sampleWorkspace(id: string, name = id): NewWorkspace {
  return { id, name, mountPath: `/tmp/${name}`, options: { maxBytes: 1 << 20 }, createdAt: 1000 };
}

export function sampleSnapshot(workspace: string, root: Uint8Array, name?: string): NewSnapshot {
  return {
    workspace,
    contentId: "ab".repeat(32),
    root,
    ...(name === undefined ? {} : { name }),
    automatic: false,
    createdAt: 2000,
    bytes: 4096,
    inodes: 3,
  };
}

export function assertCode(code: StoreErrorCode, work: () => void): void {
  assert.throws(work, (error) => error instanceof StoreError && error.code === code, code);
}

/** A row as plain values, so that two implementations' buffers compare. */
export function plain(row: unknown): unknown {
  return JSON.parse(
    JSON.stringify(row, (_, value: unknown) =>
      value instanceof Uint8Array || (value as { type?: string } | null)?.type === "Buffer"
        ? Buffer.from(value as Uint8Array).toString("hex")
        : value,
    ),
  );
}
