// Inode numbers after a crash: those that were given out before a restore do not come again, though
// the state that the workspace comes back to is older than they are.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { silentLog } from "@devdev/testing";
import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { afterEach, beforeEach, expect, it } from "vitest";

const FILES = 100;

let dataDir = "";

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

/** Runs the body in a process that is killed at `fault`; gives the highest number it printed. */
function killed(fault: string, body: string): number {
  const entry = fileURLToPath(new URL("../dist/index.js", import.meta.url));
  const program = `
    import { writeSync } from "node:fs";
    import { Workspace } from ${JSON.stringify(entry)};
    const ws = await Workspace.create(${JSON.stringify({ dataDir, name: "w" })});
    const make = async (prefix) => {
      for (let i = 0; i < ${FILES}; i++) {
        await ws.fs.writeFile("/" + prefix + i, "");
        writeSync(1, (await ws.fs.stat("/" + prefix + i)).ino + "\\n");
      }
    };
    ${body}
    await ws.close();`;
  const env = { PATH: process.env["PATH"], DEVDEV_FAULT: fault };
  const { signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    env,
    encoding: "utf8",
    timeout: 100_000,
    stdio: ["ignore", "pipe", "inherit"],
  });
  expect(signal).toBe("SIGKILL");
  const given = stdout.trim().split("\n").map(Number);
  expect(given.length).toBeGreaterThanOrEqual(FILES);
  return Math.max(...given);
}

async function expectNew(above: number): Promise<void> {
  await using ws = await Workspace.open("w", { dataDir });
  expect(await ws.fs.readdir("/")).toEqual(["a"]);
  for (let i = 0; i < FILES; i++) {
    await ws.fs.writeFile(`/new${i}`, "");
    expect((await ws.fs.stat(`/new${i}`)).ino).toBeGreaterThan(above);
  }
}

async function expectWhole(): Promise<void> {
  const host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: silentLog });
  expect(await host.check()).toEqual([]);
  await host.close();
}

// The first pass is before the switch, the second right behind it.
it.each([1, 2])("S3, S160: killed in a restore, at its %ith moment", async (moment) => {
  const highest = killed(
    `kill:restore:${moment}`,
    `await ws.fs.writeFile("/a", "one");
     await ws.snapshot({ name: "one" });
     await make("b");
     await ws.restore("one");`,
  );
  await expectNew(highest);
  await expectWhole();
});

// The state before it is a snapshot already: only what to come back to changes in the store.
it("S3, S160: killed in an undo that had nothing to keep", async () => {
  const highest = killed(
    "kill:restore:2",
    `await ws.fs.writeFile("/a", "one");
     await ws.snapshot({ name: "one" });
     await make("b");
     await ws.snapshot({ name: "two" });
     await ws.undo();`,
  );
  await expectNew(highest);
  await expectWhole();
});

// Files that no state has ever had: what is kept before the restore knows of their numbers.
it("S3, S160: also numbers of files that were gone before the restore", async () => {
  const highest = killed(
    "kill:restore:2",
    `await ws.fs.writeFile("/a", "one");
     await ws.snapshot({ name: "one" });
     await make("b");
     for (let i = 0; i < ${FILES}; i++) await ws.fs.rm("/b" + i);
     await ws.restore("one");`,
  );
  await expectNew(highest);
  await expectWhole();
});
