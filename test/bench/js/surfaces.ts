// The file APIs that scripts/bench js compares, each brought to one shape: what it has in sync form
// and in promise form.

import * as nodeFs from "node:fs";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInMemoryFileSystem } from "@secure-exec/core";
import { Workspace } from "@devdev/workspace";
import { createFsFromVolume, Volume } from "memfs";

/** One form of an API; what is returned is only waited for. */
export interface Calls {
  mkdir(path: string): unknown;
  writeFile(path: string, data: Buffer): unknown;
  stat(path: string): unknown;
  readFile(path: string): unknown;
  readdir(path: string): unknown;
  rename(from: string, to: string): unknown;
}

export interface Surface extends AsyncDisposable {
  /** Where its files go. */
  root: string;
  sync?: Calls;
  promise: Calls;
}

interface SyncFs {
  mkdirSync(path: string): unknown;
  writeFileSync(path: string, data: Buffer): unknown;
  statSync(path: string): unknown;
  readFileSync(path: string): unknown;
  readdirSync(path: string): unknown;
  renameSync(from: string, to: string): unknown;
}

function syncCalls(fs: SyncFs): Calls {
  return {
    mkdir: (path) => fs.mkdirSync(path),
    writeFile: (path, data) => fs.writeFileSync(path, data),
    stat: (path) => fs.statSync(path),
    readFile: (path) => fs.readFileSync(path),
    readdir: (path) => fs.readdirSync(path),
    rename: (from, to) => fs.renameSync(from, to),
  };
}

async function workspaceOf(mounted: boolean): Promise<Surface & { ws: Workspace }> {
  const ws = await Workspace.create({ ephemeral: true });
  if (mounted) await ws.mount();
  const dispose = async (): Promise<void> => {
    if (mounted) await ws.unmount();
    await ws.close();
  };
  const promise: Calls = ws.fs;
  return { ws, root: "", sync: syncCalls(ws.fs), promise, [Symbol.asyncDispose]: dispose };
}

function onNode(root: string, dispose: () => Promise<void>): Surface {
  const { promises } = nodeFs;
  return { root, sync: syncCalls(nodeFs), promise: promises, [Symbol.asyncDispose]: dispose };
}

async function nothing(): Promise<void> {}

/** Every contender by its name, in the order of the table. */
export const SURFACES: Record<string, () => Promise<Surface>> = {
  "ws.fs": () => workspaceOf(false),
  "ws.fs, mounted": () => workspaceOf(true),
  memfs: async () => {
    const fs = createFsFromVolume(new Volume());
    const promise = fs.promises as unknown as Calls;
    return { root: "", sync: syncCalls(fs), promise, [Symbol.asyncDispose]: nothing };
  },
  "@secure-exec/core": async () => {
    const fs = createInMemoryFileSystem();
    const promise: Calls = {
      mkdir: (path) => fs.mkdir(path),
      writeFile: (path, data) => fs.writeFile(path, data),
      stat: (path) => fs.stat(path),
      readFile: (path) => fs.readFile(path),
      readdir: (path) => fs.readDir(path),
      rename: (from, to) => fs.rename(from, to),
    };
    return { root: "", promise, [Symbol.asyncDispose]: nothing };
  },
  "node:fs on the mount": async () => {
    const surface = await workspaceOf(true);
    return onNode(surface.ws.mountPoint!, async () => surface[Symbol.asyncDispose]());
  },
  "node:fs on tmpfs": async () => {
    const root = mkdtempSync(
      join(nodeFs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "devdev-suite-"),
    );
    return onNode(root, () => rm(root, { recursive: true }));
  },
};
