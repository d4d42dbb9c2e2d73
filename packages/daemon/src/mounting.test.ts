// What a mount leaves when it fails or is given up: nothing.

import type { Workspace, WorkspaceSummary } from "@devdev/protocol";
import type { WorkspaceHost } from "@devdev/workspace";
import { expect, test } from "vitest";
import { Mounter } from "./mounting.js";

/** A host whose mounts do what `mounting` says; it notes what is asked of it. */
function host(mounting: () => Promise<void>): { host: WorkspaceHost; done: string[] } {
  const done: string[] = [];
  const summaries: WorkspaceSummary[] = [];
  const workspace = (id: string): Workspace =>
    ({
      id,
      usage: async () => ({ bytes: 0, inodes: 0, maxBytes: 10, maxInodes: 10, dirtyBytes: 0 }),
      mount: async () => (done.push("mount"), mounting()),
      unmount: async () => void done.push("unmount"),
    }) as unknown as Workspace;
  const fake = {
    list: async () => summaries,
    open: async (id: string) => workspace(id),
    create: async ({ name = "made" }) => {
      done.push("create");
      summaries.push({
        id: name,
        name,
        ephemeral: false,
        durable: false,
        writeback: false,
        autosnapshot: "off",
        createdAt: 0,
        snapshots: 0,
      });
      return workspace(name);
    },
    remove: async (id: string) => {
      done.push("remove");
      summaries.splice(
        summaries.findIndex((each) => each.id === id),
        1,
      );
    },
  };
  return { host: fake as unknown as WorkspaceHost, done };
}

function call(signal = new AbortController().signal) {
  return { progress: () => undefined, signal };
}

test("a new workspace goes when it cannot be mounted", async () => {
  const { host: fake, done } = host(() => Promise.reject(new Error("no FUSE")));
  await expect(new Mounter(fake).mount({ path: "/w" }, call())).rejects.toThrow("no FUSE");
  expect(done).toEqual(["create", "mount", "remove"]);
});

test("S44 a client that gives up meanwhile finds it as before", async () => {
  const given = new AbortController();
  const { host: fake, done } = host(async () => given.abort());
  const mounter = new Mounter(fake);
  const cancelled = expect.objectContaining({ code: "ECANCELED" }) as Error;
  await expect(mounter.mount({ path: "/w" }, call(given.signal))).rejects.toEqual(cancelled);
  expect(done.splice(0)).toEqual(["create", "mount", "unmount", "remove"]);
  await fake.create({ name: "old" });
  done.length = 0;
  const again = mounter.mount({ path: "/w", name: "old" }, call(given.signal));
  await expect(again).rejects.toEqual(cancelled);
  expect(done).toEqual([]);
});

test("a second mount of the same is refused while the first is under way", async () => {
  let finish: () => void = () => undefined;
  const { host: fake } = host(() => new Promise((resolve) => (finish = resolve)));
  const mounter = new Mounter(fake);
  const first = mounter.mount({ path: "/w" }, call());
  await expect(mounter.mount({ path: "/w" }, call())).rejects.toMatchObject({ code: "EBUSY" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  finish();
  expect(await first).toMatchObject({ created: true, name: "made" });
});

test("an existing workspace is not changed by options of new ones", async () => {
  const { host: fake, done } = host(async () => undefined);
  await fake.create({ name: "old" });
  done.length = 0;
  const mounter = new Mounter(fake);
  const mount = (options: object) => mounter.mount({ path: "/w", name: "old", ...options }, call());
  await expect(mount({ maxBytes: 11 })).rejects.toThrow("has a limit of 10 bytes, not 11");
  await expect(mount({ maxInodes: 11 })).rejects.toThrow("has a limit of 10 inodes, not 11");
  await expect(mount({ ephemeral: true })).rejects.toThrow("is not ephemeral");
  expect(done).toEqual([]);
  expect(await mount({ maxBytes: 10, ephemeral: false })).toMatchObject({ created: false });
});
