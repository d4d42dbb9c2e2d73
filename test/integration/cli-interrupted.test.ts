// Ctrl-C while the daemon is in the middle of what cannot be taken back: it is completed, and the
// message says so. DEVDEV_FAULT holds the daemon there until the test has looked.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { until } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";
import { Terminal } from "../harness/terminal.ts";

interface Listed {
  name?: string;
  automatic: boolean;
}

/** Ctrl-C once the daemon says that it is at it; a daemon that is held is so until `goOn`. */
async function interrupt(devdev: Devdev, argv: string[], stage: string): Promise<void> {
  const bin = join(devdev.identity.checkout, "bin/devdev");
  const options = { cwd: devdev.directory, env: devdev.env };
  using tty = new Terminal(devdev.identity.wrap([bin, "-w", "ws", ...argv]), options);
  await tty.shows(stage);
  tty.type("\u0003");
  expect(await tty.ended()).toEqual({ code: 130, restored: true });
  expect(tty.output).toContain("devdev: the daemon completes this all the same\r\n");
}

mounting("Ctrl-C in the middle", () => {
  test("S44 a snapshot and a restore are completed, and the message says so", async () => {
    await using devdev = await Devdev.create(
      await identity(identityNames[0] ?? "user"),
      "interrupted",
    );
    const go = join(devdev.directory, "go");
    const goOn = (): void => writeFileSync(go, "");
    const names = async (): Promise<Listed[]> => devdev.json(["-w", "ws", "snapshots"]);
    // A checkpoint in the background would be held before what is to be.
    const stored = async (): Promise<boolean> => {
      const { usage } = await devdev.json<{ usage: { dirtyBytes: number } }>([
        "-w",
        "ws",
        "status",
      ]);
      return usage.dirtyBytes === 0;
    };
    const content = async (): Promise<string> => (await devdev.sh("cat a")).stdout.trim();
    devdev.env["DEVDEV_FAULT"] = `hold:persist:${go}`;
    goOn();
    await devdev.mount();
    await devdev.sh("echo one > a");
    await devdev.ok(["-w", "ws", "snapshot", "--name", "first"]);
    await devdev.sh("echo two > a");
    await until("a checkpoint", stored);
    rmSync(go);
    try {
      await interrupt(devdev, ["snapshot", "--name", "second"], "storing the snapshot");
      expect(await names()).toHaveLength(1);
      goOn();
      await until("the snapshot", async () => (await names()).length === 2);
      expect((await names()).at(-1)).toMatchObject({ name: "second" });
      await devdev.sh("echo three > a");
      await until("a checkpoint", stored);
      rmSync(go);
      await interrupt(devdev, ["restore", "first"], "restoring");
      expect([await content(), (await names()).length]).toEqual(["three", 2]);
    } finally {
      goOn();
    }
    await until("the restore", async () => (await content()) === "one");
    expect((await names()).map(({ automatic }) => automatic)).toEqual([false, false, true]);
    await devdev.ok(["-w", "ws", "restore", "--", "-1"]);
    expect(await content()).toBe("three");
  });
});
