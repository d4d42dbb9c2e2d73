// S42: the Workspace interface, one contract for its implementations: the library in memory, the
// library with a store, and the client of a real daemon. And what only the client has to do right.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { RemoteWorkspace } from "@devdev/client";
import { fileOutcomes, workspaceContract, type WorkspaceMaker } from "@devdev/testing";
import { Workspace } from "@devdev/workspace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { base, CHECKOUT } from "../harness/base.ts";
import { transportEnv } from "../harness/io-uring.ts";
import { mounting } from "../harness/suite.ts";

const BIN = join(CHECKOUT, "bin/devdev");
let directory: string;
/** Environment of the daemon's clients. */
let env: Record<string, string>;
let dataDir: string;

beforeAll(() => {
  mkdirSync(base(), { recursive: true });
  directory = mkdtempSync(join(base(), "sdk-"));
  dataDir = join(directory, "data");
  const home = join(directory, "home");
  const path = process.env["PATH"] ?? "";
  env = { ...transportEnv(), PATH: path, DEVDEV_HOME: home, DEVDEV_BIN: BIN };
});

afterAll(() => {
  const { status, stderr } = spawnSync(BIN, ["daemon", "stop"], { env, timeout: 120_000 });
  rmSync(directory, { recursive: true });
  if (status !== 0) throw new Error(`daemon stop ended with ${status}: ${String(stderr)}`);
});

const makers: Record<string, WorkspaceMaker> = {
  "the library in memory": {
    create: (options) => Workspace.create(options),
    fromBytes: (bytes, options) => Workspace.fromBytes(bytes, options),
  },
  "the library with a store": {
    create: (options) => Workspace.create({ ...options, dataDir }),
    fromBytes: (bytes, options) => Workspace.fromBytes(bytes, { ...options, dataDir }),
  },
  "a daemon's client": {
    create: (options) => RemoteWorkspace.create(options, { env }),
    fromBytes: (bytes, options) => RemoteWorkspace.fromBytes(bytes, options, { env }),
  },
  "a daemon's client, ephemeral": {
    create: (options) => RemoteWorkspace.create({ ...options, ephemeral: true }, { env }),
    fromBytes: (bytes, options) =>
      RemoteWorkspace.fromBytes(bytes, { ...options, ephemeral: true }, { env }),
  },
};

const [unmounted, mounted] = [false, true].map((mounts) =>
  workspaceContract.filter((each) => (each.mounts ?? false) === mounts),
);

for (const [name, maker] of Object.entries(makers)) {
  describe(`${name}, not mounted`, () => {
    test.for(unmounted ?? [])("$name", async (each) => {
      await expect(each.run(maker)).resolves.toBeUndefined();
    });
  });
  mounting(`${name}, mounted`, () => {
    test.for(mounted ?? [])("$name", async (each) => {
      await expect(each.run(maker)).resolves.toBeUndefined();
    });
  });
}

test("file calls in process and through the daemon end alike, to the last field", async () => {
  await using local = await Workspace.create({ uid: 7, gid: 8 });
  await using remote = await RemoteWorkspace.create({ uid: 7, gid: 8, ephemeral: true }, { env });
  const [here, there] = [await fileOutcomes(local), await fileOutcomes(remote)];
  expect(here.length).toBeGreaterThan(150);
  expect(there).toEqual(here);
});

describe("the client", () => {
  test("opens what there is; closing it leaves it there", async () => {
    const made = await RemoteWorkspace.create({ name: "stays" }, { env });
    await made.fs.writeFile("/f", "kept");
    await made.close();
    for (const ref of ["stays", made.id]) {
      await using again = await RemoteWorkspace.open(ref, { env });
      expect(again.fs.readFileSync("/f", "utf8")).toBe("kept");
    }
    await expect(RemoteWorkspace.open("nothing", { env })).rejects.toMatchObject({
      code: "ERR_NO_WORKSPACE",
    });
  });

  test("an ephemeral workspace goes when who made it closes it", async () => {
    const made = await RemoteWorkspace.create({ name: "goes", ephemeral: true }, { env });
    await using other = await RemoteWorkspace.open("goes", { env });
    await made.close();
    await expect(other.usage()).rejects.toMatchObject({ code: "ERR_NO_WORKSPACE" });
  });

  test("options that a daemon cannot have are refused", async () => {
    for (const options of [{ clock: () => 0n }, { dataDir: "/x" }]) {
      await expect(RemoteWorkspace.create(options, { env })).rejects.toThrow(TypeError);
    }
  });

  test("contents beyond one frame go through, both ways and both forms", async () => {
    await using workspace = await RemoteWorkspace.create({ ephemeral: true }, { env });
    const all = Buffer.alloc(70 * 2 ** 20, "0123456789abcdef");
    await workspace.fs.writeFile("/big", all);
    expect((await workspace.fs.readFile("/big")).equals(all)).toBe(true);
    expect(workspace.fs.readFileSync("/big").equals(all)).toBe(true);
    await using file = await workspace.fs.open("/big");
    const buffer = Buffer.alloc(all.length);
    expect((await file.read(buffer, 0, all.length, 0)).bytesRead).toBe(all.length);
    expect(buffer.equals(all)).toBe(true);
  });

  test("a program that forgets to close still ends", () => {
    const script = `
      import { RemoteWorkspace } from "@devdev/client";
      const ws = await RemoteWorkspace.create({ ephemeral: true });
      await ws.fs.writeFile("/f", "text");
      console.log(ws.fs.readFileSync("/f", "utf8"));`;
    const argv = ["--input-type=module", "-e", script];
    const ended = spawnSync(process.execPath, argv, { cwd: CHECKOUT, env, timeout: 60_000 });
    expect([ended.status, String(ended.stdout), String(ended.stderr)]).toEqual([0, "text\n", ""]);
  });

  mounting("mounted by others", () => {
    test("closing lets go of a mount that somebody else made", async () => {
      await using owner = await RemoteWorkspace.create({ name: "shared" }, { env });
      const at = await owner.mount();
      const guest = await RemoteWorkspace.open(at, { env });
      expect(guest.mountPoint).toBe(at);
      await guest.fs.writeFile("/f", "x");
      await guest.close();
      expect(existsSync(at)).toBe(true);
      expect((await owner.exec("cat", ["f"])).output).toBe("x");
    });
  });
});
