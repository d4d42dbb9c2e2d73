// S27: a restore that fails, wherever that is, leaves the state before it: names, content, what is
// open, the list of snapshots; and the next attempt works.

import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { describe, inDirectory, must, run, until } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";
import { identityNames, isRoot } from "../harness/identity.ts";

const MIB = 2 ** 20;
/** Where DEVDEV_FAULT lets a step fail. */
const PHASES = ["flush", "freeze", "persist", "commit", "restore"];
/** A checkpoint in the background may come upon the fault first: so often it is tried. */
const TIMES = 10;

interface Listed {
  name?: string;
  automatic: boolean;
}

forEachIdentity("a restore that fails", (who, as) => {
  const state = async (devdev: Devdev): Promise<unknown> => {
    const listed = await devdev.json<Listed[]>(["snapshots", "-w", devdev.mountPoint]);
    const names = listed.map(({ name, automatic }) => (automatic ? "automatic" : name));
    const look = ["sh", "-c", "cat a; ls; cat d/*; stat -c '%a %s' a b 2>&1 || true"];
    const shown = await devdev.mustHost(inDirectory(devdev.mountPoint, look));
    return [names, shown.stdout];
  };

  // What fails there does not depend on whose it is.
  const phases = as === identityNames[0] ? PHASES : [];
  test.each(phases)("S27 in %s", async (phase) => {
    await using devdev = await Devdev.create(await who(), "fails");
    const fault = join(devdev.directory, "fault");
    devdev.env["DEVDEV_FAULT"] = `fail:${phase}:${fault}`;
    await devdev.mount();
    const at = (...args: string[]) => [args[0]!, "-w", devdev.mountPoint, ...args.slice(1)];
    await devdev.sh("mkdir d && echo one > a && echo in > d/in && echo only > b");
    await devdev.ok(at("snapshot", "--name", "one"));
    await devdev.sh("echo number two > a && rm b && echo x > d/x && chmod 600 a");
    for (let times = 1; ; times++) {
      const before = await state(devdev);
      writeFileSync(fault, "");
      const failed = await devdev.cli(at("restore", "one"));
      if (failed.code === 0 && times < TIMES) {
        await devdev.ok(at("restore", "--", "-1"));
        continue;
      }
      expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/DEVDEV_FAULT/)]);
      expect(await state(devdev)).toEqual(before);
      break;
    }
    await devdev.sh("echo goes on > c");
    await devdev.ok(at("restore", "one"));
    expect((await devdev.sh("cat a d/in b; ls c 2>&1 | wc -l")).stdout).toBe("one\nin\nonly\n1\n");
    await devdev.ok(at("restore", "--", "-1"));
    expect((await devdev.sh("cat a c")).stdout).toBe("number two\ngoes on\n");
  });

  test.runIf(isRoot())("S27 because the store's disk is full", async () => {
    await using devdev = await Devdev.create(await who(), "full");
    const { uid, gid } = devdev.identity;
    const root = (argv: string[]) => must(argv);
    await root(["mkdir", devdev.home]);
    const how = `size=64m,mode=700,uid=${uid},gid=${gid}`;
    await root(["mount", "-t", "tmpfs", "-o", how, "tmpfs", devdev.home]);
    try {
      await devdev.mount();
      const at = (...args: string[]) => [args[0]!, "-w", devdev.mountPoint, ...args.slice(1)];
      await devdev.sh("head -c 8M /dev/urandom > a; sha256sum a > one");
      await devdev.ok(at("snapshot", "--name", "one"));
      await devdev.sh("head -c 8M /dev/urandom > a; sha256sum a > two");
      await devdev.ok(at("snapshot", "--name", "two"));
      const ballast = join(devdev.home, "ballast");
      await devdev.host(["dd", "if=/dev/zero", `of=${ballast}`, "bs=64k"]);
      expect(statSync(ballast).size).toBeGreaterThan(MIB);
      await devdev.sh("head -c 4M /dev/urandom > new; sha256sum new > three");
      const failed = await devdev.cli(at("restore", "one"));
      expect([describe(failed), failed.code]).toEqual([describe(failed), 1]);
      expect(failed.stderr).toMatch(/full|space/i);
      await devdev.sh("sha256sum --check --quiet two three && test -f one");
      writeFileSync(ballast, "");
      await devdev.ok(at("restore", "one"));
      await devdev.sh("sha256sum --check --quiet one && test ! -e new");
      await devdev.ok(at("restore", "--", "-1"));
      await devdev.sh("sha256sum --check --quiet two three");
    } finally {
      await devdev.cli(["daemon", "stop"], { timeoutMs: 30_000 });
      // A process that ends may still hold it.
      const released = async (): Promise<boolean> =>
        (await run(["umount", devdev.home])).code === 0;
      await until("the disk to be released", released, 30_000);
    }
  });
});
